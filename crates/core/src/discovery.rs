//! What the outside sees: which servers are asked, and which external addresses they report for ours.

pub mod discover;
pub mod load;
pub mod servers;
