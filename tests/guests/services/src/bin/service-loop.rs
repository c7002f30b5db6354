//! Computes for ever, without a call to the host that could stop it.

fn main() {
    println!("looping");
    let mut number = 0_u64;
    loop {
        // Hides the loop from the optimiser, which may remove loops without effect.
        number = std::hint::black_box(number.wrapping_add(1));
    }
}
