//! External addresses as one lazy sequence.

use std::net::IpAddr;

use napi::bindgen_prelude::{BigInt, BufferSlice, Either};
use napi_derive::napi;
use routepool_core::Error;
use routepool_proto::ip_block::IpBlock;
use routepool_proto::pool::{Local, Part, Pool, Run};

use crate::failure::Failure;
use crate::pool::ProvenPool;
use crate::units::family;

/// Bytes of one packed item: external address (16; IPv4 in the first 4), local address (16), route (4, little-endian).
const ITEM: usize = 36;

/// External addresses of one route.
#[napi(object, object_to_js = false)]
pub struct PoolPart {
    /// Number of the route.
    pub route: u32,
    /// Address, prefix or range.
    pub external: String,
    /// The address to bind for all of them; each is used from itself if missing.
    pub local: Option<String>,
}

/// Makes a pool of one family; an address that an earlier part holds is left out of later ones.
#[napi(catch_unwind)]
pub fn make_pool(family: u32, parts: Vec<PoolPart>) -> Either<AddressPool, Failure> {
    match parts.iter().map(part).collect::<Result<_, _>>() {
        Ok(parts) => Either::A(AddressPool { pool: Pool::new(family == 6, parts) }),
        Err(error) => Either::B(Failure::from(&error)),
    }
}

fn part(part: &PoolPart) -> Result<Part, Error> {
    let block: IpBlock = part.external.parse().map_err(|e| Error::Block(format!("{e}")))?;
    let local = match &part.local {
        None => Local::Same,
        Some(text) => {
            Local::Fixed(text.parse().map_err(|_| Error::Block(format!("'{text}' is not an IP address")))?)
        }
    };
    Ok(Part::block(part.route, &block, local))
}

/// A pool of one family.
#[napi]
pub struct AddressPool {
    pool: Pool,
}

/// Neighbouring external addresses that are used in one way.
#[napi(object, object_from_js = false)]
pub struct PoolRun {
    /// The lowest address.
    pub first: String,
    /// The highest address.
    pub last: String,
    /// Number of the route.
    pub route: u32,
    /// Whether each is used from itself.
    pub same: bool,
}

fn number(k: &BigInt) -> Option<u128> {
    let (negative, value, lossless) = k.get_u128();
    (!negative && lossless).then_some(value)
}

#[napi]
impl AddressPool {
    /// The proven sources of a validation, each used from itself, as the route of this number.
    #[napi(factory, catch_unwind)]
    pub fn of_proven(proven: &ProvenPool, route: u32) -> Self {
        let pool = Pool::new(proven.inner().is_ipv6(), vec![proven.inner().part(route)]);
        Self { pool }
    }

    /// 4 or 6.
    #[napi(getter, catch_unwind)]
    pub fn family(&self) -> u32 {
        family(self.pool.is_ipv6())
    }

    /// How many addresses there are; of `::/0` one less than there are.
    #[napi(getter, catch_unwind)]
    pub fn size(&self) -> BigInt {
        self.pool.size().into()
    }

    /// Writes at most `most` packed items from number `start` on into `out`, from byte `offset` on; returns how many.
    #[napi(catch_unwind)]
    pub fn fill(&self, start: Either<f64, BigInt>, mut out: BufferSlice<'_>, offset: u32, most: u32) -> u32 {
        let start = match &start {
            Either::A(k) if *k >= 0.0 => Some(*k as u128),
            Either::A(_) => None,
            Either::B(k) => number(k),
        };
        let (Some(start), Some(out)) = (start, out.get_mut(offset as usize..)) else { return 0 };
        let mut written = 0;
        for slot in out.chunks_exact_mut(ITEM).take(most as usize) {
            let Some(item) = start.checked_add(u128::from(written)).and_then(|k| self.pool.at(k)) else {
                break;
            };
            put(&mut slot[..16], item.external);
            put(&mut slot[16..32], item.local);
            slot[32..].copy_from_slice(&item.route.to_le_bytes());
            written += 1;
        }
        written
    }

    /// The number of an address; null if it is not there, or no address.
    #[napi(catch_unwind)]
    pub fn index_of(&self, ip: String) -> Option<BigInt> {
        self.pool.index_of(ip.parse::<IpAddr>().ok()?).map(BigInt::from)
    }

    /// The addresses from number `from` to before number `to`.
    #[napi(catch_unwind)]
    pub fn slice(&self, from: BigInt, to: BigInt) -> Self {
        let (from, to) = (number(&from).unwrap_or(0), number(&to).unwrap_or(0));
        Self { pool: self.pool.slice(from, to) }
    }

    /// Own addresses, then those that only the other has.
    #[napi(catch_unwind)]
    pub fn union(&self, other: &AddressPool) -> Self {
        Self { pool: self.pool.union(&other.pool) }
    }

    /// Those that both have.
    #[napi(catch_unwind)]
    pub fn intersection(&self, other: &AddressPool) -> Self {
        Self { pool: self.pool.intersection(&other.pool) }
    }

    /// Those that the other does not have.
    #[napi(catch_unwind)]
    pub fn difference(&self, other: &AddressPool) -> Self {
        Self { pool: self.pool.difference(&other.pool) }
    }

    /// Those that only one of both has.
    #[napi(catch_unwind)]
    pub fn symmetric_difference(&self, other: &AddressPool) -> Self {
        Self { pool: self.pool.symmetric_difference(&other.pool) }
    }

    /// Whether the other has all of them.
    #[napi(catch_unwind)]
    pub fn is_subset_of(&self, other: &AddressPool) -> bool {
        self.pool.is_subset_of(&other.pool)
    }

    /// Whether the other has none of them.
    #[napi(catch_unwind)]
    pub fn is_disjoint_from(&self, other: &AddressPool) -> bool {
        self.pool.is_disjoint_from(&other.pool)
    }

    /// Whether both have the same addresses, in whatever order.
    #[napi(catch_unwind)]
    pub fn same_as(&self, other: &AddressPool) -> bool {
        self.pool.set_eq(&other.pool)
    }

    /// The first `most` runs of neighbouring addresses.
    #[napi(catch_unwind)]
    pub fn runs(&self, most: u32) -> Vec<PoolRun> {
        let runs = self.pool.runs().take(most as usize);
        runs.map(|run: Run| PoolRun {
            first: run.first.to_string(),
            last: run.last.to_string(),
            route: run.route,
            same: run.local == Local::Same,
        })
        .collect()
    }
}

fn put(slot: &mut [u8], ip: IpAddr) {
    match ip {
        IpAddr::V4(ip) => slot[..4].copy_from_slice(&ip.octets()),
        IpAddr::V6(ip) => slot.copy_from_slice(&ip.octets()),
    }
}
