//! Unix: `recvmsg(2)` and `poll(2)`.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::time::Duration;

use socket2::{MaybeUninitSlice, MsgHdrMut, SockAddr, Socket};

use super::Message;
use crate::control::Control;
use crate::transmit::Ready;

pub(super) use crate::set_int::set_int;

/// All that is needed is there from the start.
#[derive(Debug)]
pub(super) struct Calls;

impl Calls {
    #[allow(clippy::unnecessary_wraps, reason = "Windows has to ask for what it calls")]
    pub(super) fn of(_socket: &Socket) -> io::Result<Self> {
        Ok(Self)
    }

    #[allow(clippy::unused_self, reason = "Windows has to ask for what it calls")]
    pub(super) fn receive(
        &self,
        socket: &Socket,
        any: &SockAddr,
        payload: &mut [u8],
        control: Option<&mut Control>,
    ) -> io::Result<Message> {
        let mut from = any.clone();
        let mut vectors = [MaybeUninitSlice::new(uninit(payload))];
        let message = MsgHdrMut::new().with_addr(&mut from).with_buffers(&mut vectors);
        let mut message = match control {
            Some(control) => message.with_control(uninit(&mut control.0)),
            None => message,
        };
        let len = socket.recvmsg(&mut message, 0)?;
        let control_len = message.control_len();
        Ok(Message { from, len, control_len })
    }
}

/// The bytes as the system may overwrite them.
fn uninit(bytes: &mut [u8]) -> &mut [MaybeUninit<u8>] {
    // SAFETY: both have the same layout. The slice goes to `recvmsg` alone, which writes bytes and never takes any away.
    unsafe { &mut *(std::ptr::from_mut(bytes) as *mut [MaybeUninit<u8>]) }
}

pub(super) fn poll(socket: &Socket, for_writing: bool, timeout: Duration) -> io::Result<Ready> {
    let events = libc::POLLIN | if for_writing { libc::POLLOUT } else { 0 };
    let mut entry = libc::pollfd { fd: socket.as_raw_fd(), events, revents: 0 };
    // Rounded up: a time of less than a millisecond must not become a busy loop.
    let time = i32::try_from(timeout.as_micros().div_ceil(1_000)).unwrap_or(i32::MAX);
    // SAFETY: one entry, which lives through the call.
    if unsafe { libc::poll(&raw mut entry, 1, time) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // An error condition is reported by the next call, so it counts as ready.
    let failed = entry.revents & (libc::POLLERR | libc::POLLHUP) != 0;
    Ok(Ready {
        readable: failed || entry.revents & libc::POLLIN != 0,
        writable: failed || entry.revents & libc::POLLOUT != 0,
    })
}
