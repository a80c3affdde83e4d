//! Windows: `WSARecvMsg`, which has to be asked for.

use std::io;
use std::mem::size_of;
use std::os::windows::io::AsRawSocket;
use std::ptr::null_mut;

use socket2::{SockAddr, Socket};
use windows_sys::Win32::Networking::WinSock::{
    LPFN_WSARECVMSG, SIO_GET_EXTENSION_FUNCTION_POINTER, SIO_UDP_CONNRESET, SOCKET, WSABUF, WSAID_WSARECVMSG,
    WSAIoctl, WSAMSG,
};

use super::Message;
use crate::control::Control;

/// The function that receives with control messages.
#[derive(Debug)]
pub(super) struct Calls {
    receive: LPFN_WSARECVMSG,
}

impl Calls {
    /// Asks for the function, and that ICMP errors of earlier datagrams do not come out of receive calls.
    pub(super) fn of(socket: &Socket) -> io::Result<Self> {
        let (mut receive, guid): (LPFN_WSARECVMSG, _) = (None, WSAID_WSARECVMSG);
        let mut len = 0;
        // SAFETY: the question and the place of the answer live through the call, with their lengths given. The answer is a
        // function pointer or nothing, which is what the type of `receive` says.
        let result = unsafe {
            WSAIoctl(
                raw(socket),
                SIO_GET_EXTENSION_FUNCTION_POINTER,
                (&raw const guid).cast(),
                size_of_val(&guid) as u32,
                (&raw mut receive).cast(),
                size_of::<LPFN_WSARECVMSG>() as u32,
                &raw mut len,
                null_mut(),
                None,
            )
        };
        if result != 0 {
            return Err(io::Error::last_os_error());
        }
        let off = 0_u32;
        // SAFETY: as above; nothing is answered. Where it is not known, such errors are ignored one by one.
        unsafe {
            WSAIoctl(
                raw(socket),
                SIO_UDP_CONNRESET,
                (&raw const off).cast(),
                size_of::<u32>() as u32,
                null_mut(),
                0,
                &raw mut len,
                null_mut(),
                None,
            )
        };
        if receive.is_none() { Err(io::ErrorKind::Unsupported.into()) } else { Ok(Self { receive }) }
    }

    pub(super) fn receive(
        &self,
        socket: &Socket,
        any: &SockAddr,
        payload: &mut [u8],
        control: Option<&mut Control>,
    ) -> io::Result<Message> {
        let receive = self.receive.ok_or(io::ErrorKind::Unsupported)?;
        let mut buffer = WSABUF { len: payload.len() as u32, buf: payload.as_mut_ptr() };
        let control = control.map_or(WSABUF { len: 0, buf: null_mut() }, |control| WSABUF {
            len: control.0.len() as u32,
            buf: control.0.as_mut_ptr(),
        });
        let room = any.len();
        let (mut len, mut control_len) = (0, 0);
        // SAFETY: `try_init` gives storage for every address and takes the length that was written. Every buffer lives through
        // the call with its length given, and without an overlapped structure the call is over when it returns.
        let ((), from) = unsafe {
            SockAddr::try_init(|storage, written| {
                let mut message = WSAMSG {
                    name: storage.cast(),
                    namelen: room,
                    lpBuffers: &raw mut buffer,
                    dwBufferCount: 1,
                    Control: control,
                    dwFlags: 0,
                };
                if receive(raw(socket), &raw mut message, &raw mut len, null_mut(), None) != 0 {
                    return Err(io::Error::last_os_error());
                }
                *written = message.namelen;
                control_len = message.Control.len as usize;
                Ok(())
            })?
        };
        Ok(Message { from, len: len as usize, control_len })
    }
}

fn raw(socket: &Socket) -> SOCKET {
    socket.as_raw_socket() as SOCKET
}
