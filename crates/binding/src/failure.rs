//! Errors as data. TypeScript makes the Error, with the caller's stack.

use napi_derive::napi;
use routepool_core::{Error, errno};

/// Errors are data: any call may return this instead of its result.
#[napi(object, object_from_js = false)]
pub struct Failure {
    /// Always true: tells a failure from a result.
    pub failure: bool,
    /// Stable code; `SYSTEM` when `errno` and `syscall` say it.
    pub code: String,
    /// What happened and what to do.
    pub message: String,
    /// Name of the option to change.
    pub option: Option<String>,
    /// The system call that failed.
    pub syscall: Option<String>,
    /// Negative error number, as Node writes it.
    pub errno: Option<i32>,
    /// The address concerned.
    pub address: Option<String>,
    /// The port concerned.
    pub port: Option<u32>,
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        let mut failure = Self {
            failure: true,
            code: error.code().to_owned(),
            message: error.to_string(),
            option: error.option().map(str::to_owned),
            syscall: None,
            errno: None,
            address: None,
            port: None,
        };
        if let Error::System { syscall, address, source } = error {
            failure.syscall = Some((*syscall).to_owned());
            failure.errno = Some(-i32::from(errno::number(source)));
            failure.address = address.map(|a| a.ip().to_string());
            failure.port = address.map(|a| u32::from(a.port()));
        }
        failure
    }
}
