//! The functions of libuv that the running program has (`uv.h`; the signatures are the same since libuv 1.0).

use std::ffi::{CStr, c_int, c_void};

/// `UV_POLL` of `uv_handle_type`: the eighth of the list, unchanged since libuv 1.0.
const UV_POLL: c_int = 8;

/// `UV_READABLE` of `uv_poll_event`.
pub(crate) const READABLE: c_int = 1;

pub(crate) type OnPoll = unsafe extern "C" fn(handle: *mut c_void, status: c_int, events: c_int);
pub(crate) type PollInit =
    unsafe extern "C" fn(event_loop: *mut c_void, handle: *mut c_void, fd: c_int) -> c_int;
pub(crate) type PollStart = unsafe extern "C" fn(handle: *mut c_void, events: c_int, on: OnPoll) -> c_int;
pub(crate) type Unref = unsafe extern "C" fn(handle: *mut c_void);
pub(crate) type Close = unsafe extern "C" fn(handle: *mut c_void, on: OnClosed);
pub(crate) type OnClosed = unsafe extern "C" fn(handle: *mut c_void);

/// libuv's functions. Handles and loops are opaque.
#[derive(Clone, Copy)]
pub(crate) struct Uv {
    pub(crate) poll_init: PollInit,
    pub(crate) poll_start: PollStart,
    pub(crate) unref: Unref,
    pub(crate) close: Close,
    /// Bytes of a `uv_poll_t` in this program's version of libuv.
    pub(crate) poll_size: usize,
}

impl Uv {
    /// Looks them up; `None` if one is missing.
    pub(crate) fn find() -> Option<Self> {
        let (size, init) = (symbol(c"uv_handle_size")?, symbol(c"uv_poll_init")?);
        let (start, unref, close) = (symbol(c"uv_poll_start")?, symbol(c"uv_unref")?, symbol(c"uv_close")?);
        // SAFETY: the symbols are libuv's functions of these names, whose signatures in uv.h are the ones of the types here:
        // all pointers and C integers. A function pointer has the size of an object pointer wherever dlsym(3) exists.
        unsafe {
            let handle_size = std::mem::transmute::<*mut c_void, unsafe extern "C" fn(c_int) -> usize>(size);
            Some(Self {
                poll_init: std::mem::transmute::<*mut c_void, PollInit>(init),
                poll_start: std::mem::transmute::<*mut c_void, PollStart>(start),
                unref: std::mem::transmute::<*mut c_void, Unref>(unref),
                close: std::mem::transmute::<*mut c_void, Close>(close),
                // Never from a header: the structure's size belongs to the version that runs.
                poll_size: handle_size(UV_POLL),
            })
        }
    }
}

fn symbol(name: &CStr) -> Option<*mut c_void> {
    // SAFETY: the name ends in a zero byte; RTLD_DEFAULT searches what is loaded already.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    (!found.is_null()).then_some(found)
}
