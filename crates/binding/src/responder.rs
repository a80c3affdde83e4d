//! The STUN responder.

use napi::bindgen_prelude::Either;
use napi_derive::napi;
use routepool_core::Error;
use routepool_core::stun_server::Responder as Inner;

use crate::failure::Failure;

/// Starts a STUN Binding responder on its own thread; port 0 picks a free one.
#[napi(catch_unwind)]
pub fn start_responder(address: String, port: u32) -> Either<Responder, Failure> {
    match start(&address, port) {
        Ok(inner) => Either::A(Responder { inner }),
        Err(error) => Either::B(Failure::from(&error)),
    }
}

fn start(address: &str, port: u32) -> Result<Inner, Error> {
    let wrong = |option, expected: &str, got: &str| Error::Option {
        option,
        message: format!("expected {expected} for `{option}` but received '{got}'"),
    };
    let ip = address.parse().map_err(|_| wrong("address", "an IP address", address))?;
    let port =
        u16::try_from(port).map_err(|_| wrong("port", "an integer from 0 to 65535", &port.to_string()))?;
    Inner::start(std::net::SocketAddr::new(ip, port))
}

/// A running responder.
#[napi]
pub struct Responder {
    inner: Inner,
}

/// What a responder has done so far.
#[napi(object, object_from_js = false)]
pub struct ResponderCounters {
    /// Datagrams received.
    pub requests: f64,
    /// Replies sent.
    pub replies: f64,
    /// Datagrams that were no Binding request, or whose reply could not be sent.
    pub ignored: f64,
}

#[napi]
impl Responder {
    /// The address it listens at.
    #[napi(catch_unwind)]
    pub fn address(&self) -> String {
        self.inner.address().ip().to_string()
    }

    /// The port it listens at.
    #[napi(catch_unwind)]
    pub fn port(&self) -> u32 {
        self.inner.address().port().into()
    }

    /// Stops it. Twice is fine.
    #[napi(catch_unwind)]
    pub fn stop(&mut self) {
        self.inner.stop();
    }

    /// What it has done so far.
    #[napi(catch_unwind)]
    pub fn counters(&self) -> ResponderCounters {
        let counters = self.inner.counters();
        ResponderCounters {
            requests: counters.requests as f64,
            replies: counters.replies as f64,
            ignored: counters.ignored as f64,
        }
    }
}
