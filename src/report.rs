//! What is handed over on paper or screen: the charts.
//!
//! This room draws what others have judged. It computes no verdict and no statistic, reads no store
//! and knows no language: rows and words come in, a finished file goes out.

pub mod chart;
