import Testing

@testable import defender

/// Tests of how `defender invoke` and `defender emulator` show a function's JSON log lines.
@Suite struct `A function's log` {
  @Test(arguments: [
    (
      #"{"timestamp":"2026-11-30T09:00:00.000Z","level":"INFO","message":"Published.","requestId":"r-1"}"#,
      "[INFO]\t2026-11-30T09:00:00.000Z\tr-1\tPublished."
    ),
    // The order of the members doesn't matter.
    (#"{"message":"m","requestId":"r","level":"WARN","timestamp":"t"}"#, "[WARN]\tt\tr\tm"),
    (#"{"level":"ERROR","message":"m"}"#, "[ERROR]\tm"),
    (
      #"{"level":"INFO","message":"m","reports":2,"topic":"a/b","text":"two words","list":[1,"x"],"none":null}"#,
      #"[INFO]\#tm\#treports=2 topic=a/b text="two words" list=[1,"x"] none=null"#
    ),
    // A string that isn't one plain word keeps its quotes.
    (
      #"{"level":"INFO","message":"m","a":"","b":"x=y","c":"{","d":"\"q\""}"#,
      #"[INFO]\#tm\#ta="" b="x=y" c="{" d="\"q\"""#
    ),
    (#"{"level":"INFO","message":{"b":1,"a":[]}}"#, #"[INFO]\#t{"b":1,"a":[]}"#),
    (#"{"level":"ERROR","message":"one\ntwo\n\nthree"}"#, "[ERROR]\tone\n    two\n    \n    three"),
    // Other runtimes and loggers.
    (#"{"time":"t","level":"INFO","msg":"m","AWSRequestId":"r"}"#, "[INFO]\tt\tr\tm"),
    (#"{"level":30,"time":1795000000000,"msg":"m"}"#, "[30]\t1795000000000\tm"),
    (#"{"ts":1.5,"message":"m"}"#, "1.5\tm"),
    // If a line has two names for the same thing, the second one is shown like any other member.
    (#"{"level":"INFO","message":"m","msg":"n","time":"t","timestamp":"s"}"#, "[INFO]\ts\tm\tmsg=n time=t"),
  ])
  func `shows level, time, request ID, message and the other members`(line: String, shown: String) {
    #expect(readableLogLine(line) == shown)
  }

  @Test(arguments: [
    "", "text", "{", "{}", "[]", #"{"level":"INFO"}"#, #"{"message":"m"}"#, #"{"a":1}"#,
    #"{"level":"INFO","message":"m"} x"#,
    #"{"level":"INFO","message":"m","message":"n"}"#, #" {"level":"INFO","message":"m"}"#, "[INFO]\ttext",
    #"{"level":"INFO","message":"m""#, String(repeating: #"{"message":"#, count: 10_000),
  ])
  func `returns any other line unchanged`(line: String) {
    #expect(readableLogLine(line) == line)
  }

  @Test func `escapes what a terminal would interpret`() {
    let line =
      #"{"level":"\u001b[2J","timestamp":"\u0007","message":"a\u001b]0;title\u0007b","k":"\u001b[31m"}"#
    let shown = readableLogLine(line)
    #expect(!shown.unicodeScalars.contains { $0.value < 0x20 && $0 != "\t" })
    #expect(shown.contains("]0;title") && shown.contains("[31m") && shown.contains("[2J"))
  }
}
