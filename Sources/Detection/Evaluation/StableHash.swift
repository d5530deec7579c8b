/// A hash that is the same in every process and on every machine: FNV-1a with 64 bits (Fowler, Noll, Vo), finished by the
/// mixing step of SplitMix64. It doesn't protect against forgery.
struct StableHash {
  private var state: UInt64

  init(seed: UInt64 = 0) { state = 0xCBF2_9CE4_8422_2325 ^ seed }

  mutating func combine(_ bytes: some Sequence<UInt8>) {
    for byte in bytes { state = (state ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
    // Separates the texts, so that "ab" and "c" differ from "a" and "bc". UTF-8 never has this byte.
    state = (state ^ 0xFF) &* 0x0000_0100_0000_01B3
  }

  mutating func combine(_ text: String) { combine(text.utf8) }

  var value: UInt64 {
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }
}
