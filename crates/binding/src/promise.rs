//! Promises of work on the runtime.

use std::cell::{Cell, RefCell};
use std::future::Future;

use napi::bindgen_prelude::{Either, Function, JsObjectValue, ToNapiValue, Unknown};
use napi::threadsafe_function::ThreadsafeFunctionCallMode;
use napi::{Env, Status};
use napi_derive::napi;
use routepool_core::Error;
use routepool_core::runtime::{Cancel, Lease, settle};

use crate::failure::Failure;

/// Tells work that is under way to end.
#[napi(js_name = "Cancel")]
#[derive(Default)]
pub struct CancelWork {
    inner: Cancel,
}

#[napi]
impl CancelWork {
    /// For one call or several.
    #[napi(constructor, catch_unwind)]
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Tells it. Idempotent.
    #[napi(catch_unwind)]
    pub fn cancel(&self) {
        self.inner.cancel();
    }
}

impl CancelWork {
    pub(crate) fn inner(&self) -> Cancel {
        self.inner.clone()
    }
}

/// An environment's share of the runtime, and what tells its work that it ends.
#[derive(Clone)]
struct Share {
    lease: Lease,
    ending: Cancel,
}

thread_local! {
    /// The shares of the environments of this thread, by their addresses.
    static SHARES: RefCell<Vec<(usize, Share)>> = const { RefCell::new(Vec::new()) };
}

/// The environment's share; it is taken with the first call that needs it, and given back when the environment ends.
fn share(env: Env) -> napi::Result<Result<Share, Error>> {
    let key = env.raw() as usize;
    let found = SHARES.with_borrow(|shares| shares.iter().find(|(of, _)| *of == key).map(|(_, s)| s.clone()));
    if let Some(share) = found {
        return Ok(Ok(share));
    }
    let share = match Lease::take() {
        Ok(lease) => Share { lease, ending: Cancel::new() },
        Err(error) => return Ok(Err(error)),
    };
    // The environment (the process, or a worker) may end first: then the work must not go on.
    env.add_env_cleanup_hook(share.ending.clone(), move |ending| {
        ending.cancel();
        let _ = SHARES.try_with(|shares| shares.borrow_mut().retain(|(of, _)| *of != key));
    })?;
    SHARES.with_borrow_mut(|shares| shares.push((key, share.clone())));
    Ok(Ok(share))
}

/// A promise of what comes of `work`, or of a [`Failure`]; it is never rejected. It does not keep the process alive: a promise of
/// Node-API's own would, whether or not anybody waits for it. `cancel` is told when the environment ends.
pub(crate) fn promise<T: ToNapiValue + Send + 'static>(
    env: Env,
    cancel: Cancel,
    work: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> napi::Result<Unknown<'static>> {
    // Both are taken out when the executor is called, which is at once: the function itself is collected who knows when, and must
    // not keep the runtime until then.
    let once = Cell::new(Some((share(env)?, work)));
    let executor = env.create_function_from_closure("executor", move |context| {
        let resolve: Function<'_, Either<T, Failure>, ()> = context.first_arg()?;
        let resolve = resolve.build_threadsafe_function().weak::<true>().callee_handled::<false>().build()?;
        let settled = move |result: Result<T, Failure>| {
            let result = result.map_or_else(Either::B, Either::A);
            // A closing environment refuses the call, and then nobody waits any more.
            let _: Status = resolve.call(result, ThreadsafeFunctionCallMode::NonBlocking);
        };
        match once.take() {
            Some((Ok(Share { lease, ending }), work)) => {
                let cancel = cancel.clone();
                lease.spawn(async move {
                    match ending.unless(settle(work)).await {
                        Some(result) => settled(result.map_err(|error| Failure::from(&error))),
                        None => cancel.cancel(),
                    }
                });
            }
            Some((Err(error), _)) => settled(Err(Failure::from(&error))),
            None => {}
        }
        Ok(())
    })?;
    let promise: Function<'_, Function<'_, (), ()>, ()> = env.get_global()?.get_named_property("Promise")?;
    promise.new_instance(executor)
}
