//! Linux: one socket, `sendmmsg(2)`, `recvmmsg(2)`, and the source of each datagram in a control message (ip(7), ipv6(7)).

use std::io;
use std::mem::{offset_of, size_of, zeroed};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::AsRawFd;
use std::ptr::null_mut;
use std::time::Duration;

use crate::options::{Options, unbound};
use crate::set_int::set_int;
use crate::transmit::{Ready, Received, Refused, SendError, Transmit};
use crate::wait::{Handle, handle, wait};

/// Room for one `in6_pktinfo` with its header, aligned as `cmsghdr` wants it.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
pub(crate) struct Control(pub(crate) [u8; CONTROL]);
pub(crate) const CONTROL: usize = 64;

/// One socket with its message headers, made once: per datagram only addresses and pointers change.
pub(crate) struct Batched {
    socket: socket2::Socket,
    local: SocketAddr,
    receive_buffer: usize,
    /// Whether the source of a datagram is chosen, and the destination of a received one told, by control messages.
    packet_info: bool,
    send: Headers,
    receive: Headers,
    payloads: Box<[u8]>,
    /// Bytes received of one datagram.
    datagram: usize,
}

impl std::fmt::Debug for Batched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batched")
            .field("socket", &self.socket)
            .field("local", &self.local)
            .finish_non_exhaustive()
    }
}

/// Parallel arrays for one system call. The headers point into the other arrays, which are boxed and never resized.
pub(crate) struct Headers {
    pub(crate) messages: Box<[libc::mmsghdr]>,
    vectors: Box<[libc::iovec]>,
    pub(crate) names: Box<[libc::sockaddr_storage]>,
    pub(crate) controls: Box<[Control]>,
}

// SAFETY: the raw pointers in the headers point only into the boxes of the same struct, or are set from live borrows
// within one call; nothing else holds them, so the whole may move to another thread.
unsafe impl Send for Headers {}

impl Headers {
    pub(crate) fn new(len: usize) -> Self {
        // SAFETY: all four are plain C structures of integers and pointers, for which zero is a valid value.
        let (message, vector, name): (libc::mmsghdr, libc::iovec, libc::sockaddr_storage) =
            unsafe { zeroed() };
        let mut headers = Self {
            messages: vec![message; len].into_boxed_slice(),
            vectors: vec![vector; len].into_boxed_slice(),
            names: vec![name; len].into_boxed_slice(),
            controls: vec![Control([0; CONTROL]); len].into_boxed_slice(),
        };
        for at in 0..len {
            let header = &mut headers.messages[at].msg_hdr;
            header.msg_iov = &raw mut headers.vectors[at];
            header.msg_iovlen = 1;
            header.msg_name = (&raw mut headers.names[at]).cast();
            header.msg_control = (&raw mut headers.controls[at]).cast();
        }
        headers
    }
}

impl Batched {
    pub(crate) fn open(options: &Options) -> io::Result<Self> {
        let ipv6 = options.local.is_ipv6();
        let socket = unbound(options)?;
        if !ipv6 {
            // Datagrams this small are never fragmented. With DF they need no identification (RFC 6864), and the kernel
            // saves the work of making one: 4 % of a sweep's time, measured on Linux 6.18.
            set_int(&socket, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_DO)?;
        }
        if options.share_port {
            socket.set_reuse_port(true)?;
        }
        let receive_buffer = grow_buffers(&socket, options)?;
        let packet_info = options.local.ip().is_unspecified();
        if packet_info {
            let (level, name) = if ipv6 {
                (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO)
            } else {
                (libc::IPPROTO_IP, libc::IP_PKTINFO)
            };
            set_int(&socket, level, name, 1)?;
        }
        socket.bind(&options.local.into())?;
        let local = socket.local_addr()?.as_socket().ok_or(io::ErrorKind::InvalidData)?;
        let batch = options.batch.max(1);
        Ok(Self {
            socket,
            local,
            receive_buffer,
            packet_info,
            send: Headers::new(batch),
            receive: Headers::new(batch),
            payloads: vec![0; options.datagram * batch].into_boxed_slice(),
            datagram: options.datagram,
        })
    }

    pub(crate) fn handle(&self) -> Handle<'_> {
        handle(&self.socket)
    }

    pub(crate) fn let_fragment(&self, fragment: bool) -> io::Result<()> {
        if self.local.is_ipv6() {
            // The kernel fragments what is too long, unless told otherwise (ipv6(7), IPV6_MTU_DISCOVER).
            return Ok(());
        }
        let how = if fragment { libc::IP_PMTUDISC_DONT } else { libc::IP_PMTUDISC_DO };
        set_int(&self.socket, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, how)
    }

    pub(crate) fn local(&self) -> SocketAddr {
        self.local
    }

    pub(crate) fn local_port(&self) -> u16 {
        self.local.port()
    }

    pub(crate) fn receive_buffer(&self) -> usize {
        self.receive_buffer
    }

    pub(crate) fn drops(&self) -> u32 {
        drops(&self.socket)
    }

    pub(crate) fn send(&mut self, transmits: &[Transmit<'_>]) -> (usize, Option<SendError>) {
        let mut done = 0;
        for chunk in transmits.chunks(self.send.messages.len()) {
            for (at, transmit) in chunk.iter().enumerate() {
                self.prepare(at, transmit);
            }
            let mut from = 0;
            while from < chunk.len() {
                // SAFETY: the headers in `from..chunk.len()` were filled in above and point to memory that lives through
                // the call: the boxes of `self.send` and the borrowed bytes of `chunk`. The kernel only reads payloads.
                let sent = unsafe {
                    libc::sendmmsg(
                        self.socket.as_raw_fd(),
                        self.send.messages[from..].as_mut_ptr(),
                        (chunk.len() - from) as libc::c_uint,
                        0,
                    )
                };
                // A short count means that the next one was refused: asking again brings its error.
                if let Ok(sent) = usize::try_from(sent) {
                    from += sent;
                    continue;
                }
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return (done + from, Some(SendError { refused: Refused::Send, error }));
                }
            }
            done += chunk.len();
        }
        (done, None)
    }

    fn prepare(&mut self, at: usize, transmit: &Transmit<'_>) {
        self.send.vectors[at] = libc::iovec {
            iov_base: transmit.bytes.as_ptr().cast_mut().cast(),
            iov_len: transmit.bytes.len(),
        };
        // The lengths and flags of messages have other types in musl than in glibc: `as _` takes the one there is.
        let header = &mut self.send.messages[at].msg_hdr;
        header.msg_namelen = put_name(&mut self.send.names[at], transmit.destination);
        let source = transmit.source.filter(|_| self.packet_info);
        header.msg_controllen =
            source.map_or(0, |source| put_packet_info(&mut self.send.controls[at], source) as _);
    }

    pub(crate) fn receive(&mut self, mut take: impl FnMut(Received<'_>)) -> io::Result<usize> {
        let datagram = self.datagram;
        for (at, payload) in self.payloads.chunks_exact_mut(datagram).enumerate() {
            self.receive.vectors[at] =
                libc::iovec { iov_base: payload.as_mut_ptr().cast(), iov_len: datagram };
            let header = &mut self.receive.messages[at].msg_hdr;
            header.msg_namelen = size_of::<libc::sockaddr_in6>() as libc::socklen_t;
            header.msg_controllen = if self.packet_info { CONTROL as _ } else { 0 };
            header.msg_flags = 0;
        }
        let received = loop {
            // SAFETY: every header points to boxes of `self` of the lengths given, which nothing else borrows meanwhile.
            // The time-out is null: with MSG_DONTWAIT it is not used, and recvmmsg(2) lists it under BUGS.
            let received = unsafe {
                libc::recvmmsg(
                    self.socket.as_raw_fd(),
                    self.receive.messages.as_mut_ptr(),
                    self.receive.messages.len() as libc::c_uint,
                    libc::MSG_DONTWAIT as _,
                    null_mut(),
                )
            };
            if let Ok(received) = usize::try_from(received) {
                break received;
            }
            let error = io::Error::last_os_error();
            match error.kind() {
                io::ErrorKind::Interrupted => {}
                io::ErrorKind::WouldBlock => return Ok(0),
                _ => return Err(error),
            }
        };
        for at in 0..received {
            let message = &self.receive.messages[at];
            let Some(from) = read_name(&self.receive.names[at]) else { continue };
            let to = if self.packet_info {
                match read_packet_info(&self.receive.controls[at], message.msg_hdr.msg_controllen as _) {
                    Some(to) => to,
                    None => continue,
                }
            } else {
                self.local.ip()
            };
            let bytes = &self.payloads[at * datagram..][..(message.msg_len as usize).min(datagram)];
            take(Received { from, to, port: self.local.port(), bytes });
        }
        Ok(received)
    }

    pub(crate) fn wait(&mut self, for_writing: bool, timeout: Duration) -> io::Result<Ready> {
        wait(handle(&self.socket), for_writing, timeout)
    }
}

/// Received datagrams that the kernel has dropped because the buffer was full (`SO_MEMINFO`); 0 if it does not tell.
pub(crate) fn drops(socket: &impl AsRawFd) -> u32 {
    /// Index of the drop counter among the values of `SO_MEMINFO` (`linux/sock_diag.h`).
    const SK_MEMINFO_DROPS: usize = 8;
    let mut values = [0_u32; 16];
    let mut len = size_of::<[u32; 16]>() as libc::socklen_t;
    // SAFETY: `values` is writable for `len` bytes, and both outlive the call.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            values.as_mut_ptr().cast(),
            &raw mut len,
        )
    };
    if result == 0 && len as usize >= (SK_MEMINFO_DROPS + 1) * 4 { values[SK_MEMINFO_DROPS] } else { 0 }
}

/// Asks for larger buffers; gives the receive buffer that was granted.
fn grow_buffers(socket: &socket2::Socket, options: &Options) -> io::Result<usize> {
    for (name, forced, wanted) in [
        (libc::SO_RCVBUF, libc::SO_RCVBUFFORCE, options.receive_buffer),
        (libc::SO_SNDBUF, libc::SO_SNDBUFFORCE, options.send_buffer),
    ] {
        let wanted = i32::try_from(wanted).unwrap_or(i32::MAX);
        // Forcing needs CAP_NET_ADMIN in the initial user namespace; without it net.core.rmem_max is the limit, and a
        // smaller buffer is no failure: the caller reads back what there is.
        if set_int(socket, libc::SOL_SOCKET, forced, wanted).is_err() {
            let _ = set_int(socket, libc::SOL_SOCKET, name, wanted);
        }
    }
    socket.recv_buffer_size()
}

pub(crate) fn put_name(name: &mut libc::sockaddr_storage, address: SocketAddr) -> libc::socklen_t {
    match address {
        SocketAddr::V4(address) => {
            let value = libc::sockaddr_in {
                sin_family: libc::AF_INET as libc::sa_family_t,
                sin_port: address.port().to_be(),
                sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(address.ip().octets()) },
                sin_zero: [0; 8],
            };
            // SAFETY: `sockaddr_storage` is larger than, and aligned for, every address structure.
            unsafe { (&raw mut *name).cast::<libc::sockaddr_in>().write(value) };
            size_of::<libc::sockaddr_in>() as libc::socklen_t
        }
        SocketAddr::V6(address) => {
            let value = libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as libc::sa_family_t,
                sin6_port: address.port().to_be(),
                sin6_flowinfo: 0,
                sin6_addr: libc::in6_addr { s6_addr: address.ip().octets() },
                sin6_scope_id: address.scope_id(),
            };
            // SAFETY: as above.
            unsafe { (&raw mut *name).cast::<libc::sockaddr_in6>().write(value) };
            size_of::<libc::sockaddr_in6>() as libc::socklen_t
        }
    }
}

pub(crate) fn read_name(name: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match i32::from(name.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says which structure the kernel wrote; storage is large enough and aligned.
            let value = unsafe { (&raw const *name).cast::<libc::sockaddr_in>().read() };
            let ip = Ipv4Addr::from(value.sin_addr.s_addr.to_ne_bytes());
            Some(SocketAddrV4::new(ip, u16::from_be(value.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let value = unsafe { (&raw const *name).cast::<libc::sockaddr_in6>().read() };
            let ip = Ipv6Addr::from(value.sin6_addr.s6_addr);
            Some(SocketAddrV6::new(ip, u16::from_be(value.sin6_port), 0, value.sin6_scope_id).into())
        }
        _ => None,
    }
}

// The layout of a control message, computed as the macros of cmsg(3) do, but in safe code: a header, then the data at the
// next multiple of the word size.
const HEADER: usize = size_of::<libc::cmsghdr>().next_multiple_of(size_of::<usize>());
const _: () = assert!(HEADER + size_of::<libc::in6_pktinfo>().next_multiple_of(8) <= CONTROL);

/// Writes the source address; gives the length of the control data.
pub(crate) fn put_packet_info(control: &mut Control, source: IpAddr) -> usize {
    let (level, kind, len) = match source {
        IpAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_PKTINFO, size_of::<libc::in_pktinfo>()),
        IpAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, size_of::<libc::in6_pktinfo>()),
    };
    let out = &mut control.0;
    out[..HEADER].fill(0);
    put(out, offset_of!(libc::cmsghdr, cmsg_len), &(HEADER + len).to_ne_bytes());
    put(out, offset_of!(libc::cmsghdr, cmsg_level), &level.to_ne_bytes());
    put(out, offset_of!(libc::cmsghdr, cmsg_type), &kind.to_ne_bytes());
    out[HEADER..HEADER + len].fill(0);
    match source {
        IpAddr::V4(ip) => put(out, HEADER + offset_of!(libc::in_pktinfo, ipi_spec_dst), &ip.octets()),
        IpAddr::V6(ip) => put(out, HEADER + offset_of!(libc::in6_pktinfo, ipi6_addr), &ip.octets()),
    }
    HEADER + len.next_multiple_of(size_of::<usize>())
}

fn put(out: &mut [u8; CONTROL], at: usize, bytes: &[u8]) {
    out[at..at + bytes.len()].copy_from_slice(bytes);
}

/// Reads the address that a datagram was delivered to. It is the only control message that is asked for, so it is the first.
pub(crate) fn read_packet_info(control: &Control, len: usize) -> Option<IpAddr> {
    let data = control.0.get(..len)?;
    let int = |at: usize| Some(i32::from_ne_bytes(data.get(at..at + 4)?.try_into().ok()?));
    match (int(offset_of!(libc::cmsghdr, cmsg_level))?, int(offset_of!(libc::cmsghdr, cmsg_type))?) {
        (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
            // The destination in the header, not `ipi_spec_dst`: for a unicast datagram both are the same.
            let at = HEADER + offset_of!(libc::in_pktinfo, ipi_addr);
            let octets: [u8; 4] = data.get(at..at + 4)?.try_into().ok()?;
            Some(octets.into())
        }
        (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
            let at = HEADER + offset_of!(libc::in6_pktinfo, ipi6_addr);
            let octets: [u8; 16] = data.get(at..at + 16)?.try_into().ok()?;
            Some(octets.into())
        }
        _ => None,
    }
}
