//! The call that wakes JavaScript.

use napi::Status;
use napi::bindgen_prelude::Function;
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use routepool_core::waker::Waker;

type WeakFunction = ThreadsafeFunction<(), (), (), Status, false, true, 0>;

/// Calls JavaScript from a thread of the engine. It is weak: it does not keep the process alive.
pub(crate) struct NodeWaker(WeakFunction);

impl NodeWaker {
    pub(crate) fn new(call: Function<'_, (), ()>) -> napi::Result<Self> {
        Ok(Self(call.build_threadsafe_function().weak::<true>().callee_handled::<false>().build()?))
    }
}

impl Waker for NodeWaker {
    fn wake(&self) {
        // A closing environment refuses the call, and then nobody listens any more.
        let _ = self.0.call((), ThreadsafeFunctionCallMode::NonBlocking);
    }
}
