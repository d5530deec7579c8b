import TestSupport
import Testing
import WireFormats

struct `The CBOR reader` {
  // RFC 8949, appendix A, and the odd ones.
  @Test(
    arguments: [
      ("00", "0"), ("17", "23"), ("1818", "24"), ("1903e8", "1000"),
      ("1bffffffffffffffff", "18446744073709551615"),
      ("20", "-1"), ("3bffffffffffffffff", "-18446744073709551616"), ("3903e7", "-1000"),
      ("f90000", "0.0"), ("f93c00", "1.0"), ("f97bff", "65504.0"), ("f90001", "5.960464477539063e-08"),
      ("f9c400", "-4.0"), ("fa47c35000", "100000.0"), ("fb3ff199999999999a", "1.1"), ("f97c00", "null"),
      ("f97e00", "null"), ("f4", "false"), ("f5", "true"), ("f6", "null"), ("f7", "null"),
      ("c11a514b67b0", "1363896240"), ("4401020304", "\"AQIDBA==\""), ("60", "\"\""), ("62c3bc", "\"ü\""),
      ("80", "[]"), ("8301820203820405", "[1,[2,3],[4,5]]"), ("a0", "{}"),
      ("a26161016162820203", "{\"a\":1,\"b\":[2,3]}"),
      ("a10102", "{\"1\":2}"), ("5f42010243030405ff", "\"AQIDBAU=\""),
      ("7f657374726561646d696e67ff", "\"streaming\""),
      ("9fff", "[]"), ("9f018202039f0405ffff", "[1,[2,3],[4,5]]"),
      ("bf61610161629f0203ffff", "{\"a\":1,\"b\":[2,3]}"),
    ])
  func `reads what the RFC shows, as JSON`(text: String, expected: String) throws {
    let value = try JSONValue(parsingCBOR: bytes(text))
    var json = JSONWriter()
    value.write(to: &json)
    #expect(String(decoding: json.bytes, as: UTF8.self) == expected)
  }

  @Test(
    arguments: [
      ("", "expected a value"), ("18", "expected a value"), ("1c", "reserved"), ("1f", "indefinite"),
      ("0000", "after the value"), ("61", "truncated"), ("7bffffffffffffffff61", "truncated"),
      ("61ff", "UTF-8"),
      ("9bffffffffffffffff00", "expected a value"), ("bbffffffffffffffff6161", "expected a value"),
      ("ff", "a break outside"), ("9f01", "expected a break"), ("5f6161ff", "a chunk"),
      ("5f5fffff", "a chunk"),
      ("a1f500", "key is a boolean"), ("f0", "isn't supported"), ("f818", "isn't supported"),
      ("df00", "a tag"),
      (String(repeating: "81", count: 66) + "00", "64 levels"),
      (String(repeating: "c1", count: 66) + "00", "64 levels"),
    ])
  func `rejects what isn't one data item`(text: String, reason: String) {
    do throws(CBORError) {
      let value = try JSONValue(parsingCBOR: bytes(text))
      Issue.record("was read as \(value)")
    } catch {
      #expect(error.reason.contains(reason), "\(error)")
    }
  }

  @Test func `reads what the writer writes`() throws {
    var document = CBORWriter()
    document.beginMap(count: 3)
    document.member("reportId", 1_542_697_506)
    document.member("status", "ACCEPTED")
    document.key("x")
    document.beginList(count: 2)
    document.number(12.5)
    document.boolean(true)
    document.endList()
    document.endMap()
    let value = try JSONValue(parsingCBOR: document.bytes)
    #expect(value["reportId"]?.integer() == 1_542_697_506 && value["status"]?.string == "ACCEPTED")
    #expect(value["x"] == .array([.number("12.5"), .boolean(true)]))
  }

  @Test func `survives seeded damage`() {
    var random = SeededRandom(seed: 8_949)
    let whole = bytes(
      "bf6161 9f018202039f0405ffff 6162 7f657374726561646d696e67ff 6163 fb3ff199999999999a ff")
    for _ in 0..<20_000 {
      let damage = damaged(whole, using: &random)
      do throws(CBORError) {
        _ = try JSONValue(parsingCBOR: damage)
      } catch {
        #expect((0...damage.count).contains(error.offset))
      }
    }
  }

  private func bytes(_ hex: String) -> [UInt8] {
    let digits = hex.compactMap(\.hexDigitValue)
    return stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(digits[$0] * 16 + digits[$0 + 1]) }
  }
}
