//! Build script of the Node addon (`crates/binding`): linker settings for each platform.
fn main() {
    napi_build::setup();
}
