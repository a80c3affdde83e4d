//! Which numbers options may have.

use napi_derive::napi;
use routepool_core::option_bounds;

/// The numbers that an option may have.
#[napi(object, object_from_js = false)]
pub struct OptionBounds {
    /// The option, as users write it.
    pub option: String,
    /// The least.
    pub min: f64,
    /// The most.
    pub max: f64,
    /// Whether only integers are taken.
    pub integer: bool,
}

/// The bounds of all options that the engine takes.
#[napi(catch_unwind)]
pub fn option_bounds() -> Vec<OptionBounds> {
    option_bounds::ALL.iter().map(OptionBounds::from).collect()
}

impl From<&option_bounds::OptionBounds> for OptionBounds {
    fn from(bounds: &option_bounds::OptionBounds) -> Self {
        let option_bounds::OptionBounds { option, min, max, integer } = *bounds;
        Self { option: option.to_owned(), min, max, integer }
    }
}
