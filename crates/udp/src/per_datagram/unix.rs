//! Unix: `recvmsg(2)`.

use std::io;
use std::mem::MaybeUninit;

use socket2::{MaybeUninitSlice, MsgHdrMut, SockAddr, Socket};

use super::Message;
use crate::control::Control;

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
