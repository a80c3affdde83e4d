//! The Node addon: converts, calls `routepool-core`, converts. It decides nothing.
//!
//! Every synchronous export catches panics (`catch_unwind`): a panic that reaches Node would end the process.
#![deny(unsafe_code)]

mod convert;
mod failure;
mod plan;
mod pool;
mod responder;
mod sweep;
