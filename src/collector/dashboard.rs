//! Dashboard and API: who may see them, and under which path.

use std::sync::Arc;

use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use hyper_util::service::TowerToHyperService;
use messnetz_metric::UnixMillis;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::opened::Collector;
use super::token::AdminToken;
use crate::clock;
use crate::judging::Report;
use crate::judging::agents::AgentState;
use crate::judging::visits::Visited;
use crate::listener::{self, MAX_CONNECTIONS};
use crate::report::chart::Chart;
use crate::report::charts;
use crate::store::StoreError;
use crate::text::{Language, Text};
use crate::web;

/// How far visits are looked back for, in milliseconds: a quarter of a year.
const VISITS_MS: i64 = 92 * 24 * 3_600_000;

/// What a reader may choose.
#[derive(Debug, Deserialize)]
struct Choice {
    lang: Option<Language>,
}

/// Serves readers until the task is dropped.
pub(super) async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    collector: Arc<Collector>,
) {
    let guarded = Arc::clone(&collector);
    let guard = middleware::from_fn(move |request: Request, next: Next| {
        // Another process may have set another one a moment ago.
        let refusal = refuse(guarded.token().as_ref(), request.headers());
        async move {
            match refusal {
                Some(refusal) => refusal,
                None => harden(next.run(request).await),
            }
        }
    });
    let router = Router::new()
        .route("/", get(page))
        .route("/charts/coverage.svg", get(coverage_svg))
        .route("/charts/coverage.png", get(coverage_png))
        .route("/charts/throughput.svg", get(throughput_svg))
        .route("/charts/throughput.png", get(throughput_png))
        .route("/api/v1/report", get(report))
        .route("/api/v1/recommendations", get(recommendations))
        .route("/api/v1/coverage", get(coverage))
        .route("/api/v1/agents", get(agents))
        .route("/api/v1/visits", get(visits))
        .layer(guard)
        .with_state(collector);
    let service = move |_, _| Some(TowerToHyperService::new(router.clone()));
    listener::serve(listener, tls, MAX_CONNECTIONS, service).await;
}

/// The answer to whoever may not see this, or `None` to whoever may.
fn refuse(token: Option<&AdminToken>, headers: &HeaderMap) -> Option<Response> {
    let text = |name| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    };
    match token {
        Some(token) if token.is_shown_by(text(header::AUTHORIZATION)) => None,
        Some(_) => {
            let ask = [(
                header::WWW_AUTHENTICATE,
                "Basic realm=\"messnetz\", charset=\"UTF-8\"",
            )];
            Some((StatusCode::UNAUTHORIZED, ask, "the admin token is needed\n").into_response())
        }
        // Without a token only this machine may look. A web page from elsewhere could make the reader's
        // browser ask, under a name of its own that it lets point here: then the name gives it away.
        None if is_loopback_name(text(header::HOST)) => None,
        None => Some(
            (
                StatusCode::FORBIDDEN,
                "ask for http://localhost or 127.0.0.1\n",
            )
                .into_response(),
        ),
    }
}

/// Whether a `Host` header names this machine itself.
fn is_loopback_name(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || name
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// The page needs nothing from elsewhere, and may not be framed.
fn harden(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, axum::http::HeaderValue::from_static(value));
    }
    response
}

async fn page(
    State(collector): State<Arc<Collector>>,
    Query(choice): Query<Choice>,
) -> Result<Html<String>, Broken> {
    let language = choice.lang.unwrap_or(collector.language);
    let report = collector.report().await?;
    let agents = agents_now(&collector).await?;
    let visits = visits_now(&collector).await?;
    let text = Text::new(language);
    Ok(Html(web::dashboard(&report, &agents, &visits, &text)?))
}

async fn agents(State(collector): State<Arc<Collector>>) -> Result<Response, Broken> {
    Ok(Json(agents_now(&collector).await?).into_response())
}

async fn visits(State(collector): State<Arc<Collector>>) -> Result<Response, Broken> {
    Ok(Json(visits_now(&collector).await?).into_response())
}

async fn visits_now(collector: &Arc<Collector>) -> Result<Vec<Visited>, StoreError> {
    let this = Arc::clone(collector);
    let now = clock::now();
    let times = UnixMillis(now.0.saturating_sub(VISITS_MS))..=now;
    collector.off_the_sockets(move || this.visits(&times)).await
}

async fn agents_now(collector: &Arc<Collector>) -> Result<Vec<AgentState>, StoreError> {
    let this = Arc::clone(collector);
    collector
        .off_the_sockets(move || this.agents(clock::now()))
        .await
}

async fn report(State(collector): State<Arc<Collector>>) -> Result<Response, Broken> {
    Ok(Json(&*collector.report().await?).into_response())
}

async fn recommendations(State(collector): State<Arc<Collector>>) -> Result<Response, Broken> {
    Ok(Json(&collector.report().await?.recommendations).into_response())
}

async fn coverage(State(collector): State<Arc<Collector>>) -> Result<Response, Broken> {
    Ok(Json(&collector.report().await?.coverage).into_response())
}

async fn coverage_svg(
    state: State<Arc<Collector>>,
    choice: Query<Choice>,
) -> Result<Response, Broken> {
    svg(&chart(state, choice, charts::coverage).await?)
}

async fn coverage_png(
    state: State<Arc<Collector>>,
    choice: Query<Choice>,
) -> Result<Response, Broken> {
    png(&chart(state, choice, charts::coverage).await?)
}

async fn throughput_svg(
    state: State<Arc<Collector>>,
    choice: Query<Choice>,
) -> Result<Response, Broken> {
    svg(&chart(state, choice, charts::throughput).await?)
}

async fn throughput_png(
    state: State<Arc<Collector>>,
    choice: Query<Choice>,
) -> Result<Response, Broken> {
    png(&chart(state, choice, charts::throughput).await?)
}

async fn chart(
    State(collector): State<Arc<Collector>>,
    Query(choice): Query<Choice>,
    draw: fn(&Report, &Text) -> Chart,
) -> Result<Chart, Broken> {
    let report = collector.report().await?;
    Ok(draw(
        &report,
        &Text::new(choice.lang.unwrap_or(collector.language)),
    ))
}

fn svg(chart: &Chart) -> Result<Response, Broken> {
    Ok(([(header::CONTENT_TYPE, "image/svg+xml")], chart.svg()?).into_response())
}

fn png(chart: &Chart) -> Result<Response, Broken> {
    Ok(([(header::CONTENT_TYPE, "image/png")], chart.png()?).into_response())
}

/// Something of ours failed: the reader is told that much, the log the rest.
struct Broken(Box<dyn std::error::Error + Send + Sync>);

impl From<StoreError> for Broken {
    fn from(error: StoreError) -> Self {
        Self(Box::new(error))
    }
}

impl From<crate::report::chart::ChartError> for Broken {
    fn from(error: crate::report::chart::ChartError) -> Self {
        Self(Box::new(error))
    }
}

impl IntoResponse for Broken {
    fn into_response(self) -> Response {
        tracing::error!(
            error = &*self.0 as &dyn std::error::Error,
            "a page could not be made"
        );
        (
            StatusCode::INTERNAL_SERVER_ERROR,
            "the page could not be made; the collector's log says why\n",
        )
            .into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_served_without_a_token() {
        for host in [
            "localhost",
            "localhost:8080",
            "127.0.0.1:8080",
            "[::1]:8080",
            "127.0.0.1",
        ] {
            assert!(is_loopback_name(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "evil.example:8080",
            "localhost.evil.example",
            "10.0.0.1:80",
        ] {
            assert!(!is_loopback_name(host), "{host}");
        }
    }
}
