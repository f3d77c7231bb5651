//! What a server says of itself (draft-ietf-ippm-responsiveness-09, "Responsiveness Test Server API").

use ::http::Uri;
use messnetz_metric::{Failure, FailureReason};
use serde::{Deserialize, Serialize};

/// Where a server says it.
pub const WELL_KNOWN: &str = "/.well-known/nq";

/// Longest answer that is read.
pub(super) const MAX_OCTETS: usize = 16 * 1024;

/// The only version there is.
const VERSION: u32 = 1;

/// What [`WELL_KNOWN`] answers.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Configuration {
    version: u32,
    urls: Urls,
}

/// The three objects, all on one host.
#[derive(Debug, Serialize, Deserialize)]
#[expect(clippy::struct_field_names, reason = "the names of the draft")]
struct Urls {
    large_download_url: String,
    small_download_url: String,
    upload_url: String,
}

/// Their paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Paths {
    pub(super) large: String,
    pub(super) small: String,
    pub(super) upload: String,
}

impl Configuration {
    /// That of the server which is asked as `authority`.
    pub(super) fn of(authority: &str, paths: &Paths) -> Self {
        let url = |path: &str| format!("https://{authority}{path}");
        Self {
            version: VERSION,
            urls: Urls {
                large_download_url: url(&paths.large),
                small_download_url: url(&paths.small),
                upload_url: url(&paths.upload),
            },
        }
    }

    /// Reads what the server at `host` has answered.
    ///
    /// # Errors
    /// [`FailureReason::Protocol`] where it is no configuration, of another version, or names another host: what
    /// is measured is the way to the one that was asked.
    pub(super) fn read(octets: &[u8], host: &str) -> Result<Paths, Failure> {
        let wrong = |detail: &dyn std::fmt::Display| {
            Failure::new(
                FailureReason::Protocol,
                format_args!("the configuration of {host} for responsiveness: {detail}"),
            )
        };
        let found: Self = serde_json::from_slice(octets).map_err(|error| wrong(&error))?;
        if found.version != VERSION {
            return Err(wrong(&format_args!(
                "version {}, and only version {VERSION} is known",
                found.version
            )));
        }
        let path = |field: &str, url: &str| {
            let uri: Uri = url
                .parse()
                .map_err(|error| wrong(&format_args!("{field}: {error}")))?;
            let named = uri.host().unwrap_or_default();
            if !named.eq_ignore_ascii_case(host) || uri.scheme_str() != Some("https") {
                return Err(wrong(&format_args!("{field} is not at https://{host}")));
            }
            let path = uri.path_and_query().map_or("/", |path| path.as_str());
            Ok(path.to_owned())
        };
        Ok(Paths {
            large: path("large_download_url", &found.urls.large_download_url)?,
            small: path("small_download_url", &found.urls.small_download_url)?,
            upload: path("upload_url", &found.urls.upload_url)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn paths() -> Paths {
        Paths {
            large: "/large".to_owned(),
            small: "/small?a=b".to_owned(),
            upload: "/up".to_owned(),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let written = Configuration::of("town.example:8443", &paths());
        let written = serde_json::to_vec(&written).unwrap();
        let read = Configuration::read(&written, "Town.example").unwrap();
        assert_eq!(read, paths());
    }

    #[test]
    fn another_host_another_scheme_and_another_version_are_refused_by_name() {
        let good = serde_json::to_string(&Configuration::of("town.example", &paths())).unwrap();
        for (from, to, told) in [
            (
                "https://town.example/large",
                "https://evil.example/large",
                "large_download_url is not at https://town.example",
            ),
            (
                "https://town.example/up",
                "http://town.example/up",
                "upload_url",
            ),
            (
                "https://town.example/small",
                "https://[",
                "small_download_url",
            ),
            ("\"version\":1", "\"version\":2", "version 2"),
            ("\"urls\"", "\"uris\"", "missing field `urls`"),
        ] {
            let bad = good.replace(from, to);
            assert_ne!(bad, good);
            let failure = Configuration::read(bad.as_bytes(), "town.example").unwrap_err();
            assert_eq!(failure.reason, FailureReason::Protocol);
            assert!(failure.to_string().contains(told), "{failure}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(octets: Vec<u8>) {
            let _ = Configuration::read(&octets, "town.example");
        }
    }
}
