//! One `uv_poll_t`, from its start to the callback of its end.

use std::ffi::{c_int, c_void};
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr::{NonNull, null, null_mut};

use napi::bindgen_prelude::Function;
use napi::{Env, JsValue, Status, sys};

use crate::symbols::{READABLE, Uv};

/// What belongs to the handle. It is made by [`watch`] and freed by `on_closed`, both on the loop's thread.
struct Watched {
    uv: Uv,
    /// The `uv_poll_t`, of the size that libuv says.
    handle: *mut c_void,
    /// Its own descriptor, so that no other one can get the number while libuv still knows it.
    fd: OwnedFd,
    env: sys::napi_env,
    callback: sys::napi_ref,
    cleanup: sys::napi_async_cleanup_hook_handle,
    closing: bool,
}

/// Calls `callback` on Node's loop whenever `fd` is readable, until the environment (the process, or a worker) ends. It does
/// not keep the process alive. `false` if this program has no libuv, or keeps it to itself.
///
/// # Errors
/// When Node or libuv refuses.
pub fn watch(env: &Env, fd: OwnedFd, callback: &Function<'_, (), ()>) -> napi::Result<bool> {
    let Some(uv) = Uv::find() else { return Ok(false) };
    let Ok(event_loop) = env.get_uv_event_loop() else { return Ok(false) };
    // SAFETY: `calloc` gives memory that is aligned for any C type, of the size that libuv asks for.
    let handle = unsafe { libc::calloc(1, uv.poll_size) };
    if handle.is_null() {
        return Err(napi::Error::new(Status::GenericFailure, "no memory for a uv_poll_t"));
    }
    let raw_fd = fd.as_raw_fd();
    let (env, cleanup) = (env.raw(), null_mut());
    let watched = Watched { uv, handle, fd, env, callback: null_mut(), cleanup, closing: false };
    let mut watched = NonNull::from(Box::leak(Box::new(watched)));
    // SAFETY: we are on the loop's thread, inside a call from JavaScript, so `env` and `event_loop` are valid, and so is
    // the callback's handle. `handle` is large enough. `data` is the first field of every libuv handle (uv.h:
    // UV_HANDLE_FIELDS). On failure before `uv_poll_init` succeeds the handle is plain memory and may be freed.
    unsafe {
        let own = watched.as_mut();
        if (uv.poll_init)(event_loop.cast(), handle, raw_fd) != 0 {
            libc::free(handle);
            drop(Box::from_raw(watched.as_ptr()));
            return Err(napi::Error::new(Status::GenericFailure, "uv_poll_init refused the descriptor"));
        }
        handle.cast::<*mut Watched>().write(watched.as_ptr());
        let referenced = sys::napi_create_reference(env, callback.raw(), 1, &raw mut own.callback);
        let hooked = sys::napi_add_async_cleanup_hook(
            env,
            Some(on_cleanup),
            watched.as_ptr().cast(),
            &raw mut own.cleanup,
        );
        let started = (uv.poll_start)(handle, READABLE, on_poll);
        (uv.unref)(handle);
        if referenced != sys::Status::napi_ok || hooked != sys::Status::napi_ok || started != 0 {
            close(watched);
            return Err(napi::Error::new(Status::GenericFailure, "Node refused to watch a descriptor"));
        }
    }
    Ok(true)
}

/// Begins the end of a handle; the rest follows in [`on_closed`].
///
/// # Safety
/// On the loop's thread, and before `on_closed` has run for this handle.
unsafe fn close(mut watched: NonNull<Watched>) {
    // SAFETY: not freed before `on_closed`, which only runs after `uv_close`, below.
    let own = unsafe { watched.as_mut() };
    if !std::mem::replace(&mut own.closing, true) {
        // SAFETY: an initialised handle that is not closing yet.
        unsafe { (own.uv.close)(own.handle, on_closed) };
    }
}

/// The descriptor is readable, or libuv found it broken: either way the function looks.
unsafe extern "C" fn on_poll(handle: *mut c_void, _status: c_int, _events: c_int) {
    // SAFETY: libuv calls on the loop's thread with the handle that was started, whose `data` points to a `Watched` that lives
    // until `on_closed`. No JavaScript handle outlives the scope. What may fail does so when the environment is ending;
    // then there is nobody to tell.
    unsafe {
        let own = *handle.cast::<*mut Watched>();
        let env = (*own).env;
        let mut scope = null_mut();
        if sys::napi_open_handle_scope(env, &raw mut scope) != sys::Status::napi_ok {
            return;
        }
        let (mut function, mut global, mut result) = (null_mut(), null_mut(), null_mut());
        if sys::napi_get_reference_value(env, (*own).callback, &raw mut function) == sys::Status::napi_ok
            && !function.is_null()
            && sys::napi_get_global(env, &raw mut global) == sys::Status::napi_ok
        {
            let status =
                sys::napi_make_callback(env, null_mut(), global, function, 0, null(), &raw mut result);
            if status == sys::Status::napi_pending_exception {
                let mut error = null_mut();
                if sys::napi_get_and_clear_last_exception(env, &raw mut error) == sys::Status::napi_ok {
                    // 'uncaughtException', as for a handler of one of Node's own sockets.
                    sys::napi_fatal_exception(env, error);
                }
            }
        }
        sys::napi_close_handle_scope(env, scope);
    }
}

/// The environment ends; `uv_close` needs the loop to turn once more, which an asynchronous hook waits for.
unsafe extern "C" fn on_cleanup(_: sys::napi_async_cleanup_hook_handle, data: *mut c_void) {
    if let Some(watched) = NonNull::new(data.cast::<Watched>()) {
        // SAFETY: the hook is removed in `on_closed`, so it does not run after that; Node runs it on the loop's thread.
        unsafe { close(watched) };
    }
}

/// libuv has let go of the handle.
unsafe extern "C" fn on_closed(handle: *mut c_void) {
    // SAFETY: called once, by libuv, with the handle of `start`; nothing uses the `Watched` or the handle after this.
    unsafe {
        let own = Box::from_raw(*handle.cast::<*mut Watched>());
        if !own.callback.is_null() {
            sys::napi_delete_reference(own.env, own.callback);
        }
        if !own.cleanup.is_null() {
            sys::napi_remove_async_cleanup_hook(own.cleanup);
        }
        libc::free(handle);
        drop(own.fd);
    }
}
