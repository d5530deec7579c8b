import CLinux
import CollectorReference
import DeviceDefender
import Glibc
import Platform

// collector-benchmark: compares the collector and the encoders with plain C, alternately in one process.
//
//   collector-benchmark collect ROUNDS            CPU of one full collection, Swift and C
//   collector-benchmark collect-files ROUNDS      the same from the files of /proc, Swift only
//   collector-benchmark encode ROUNDS             time of one encoding, Swift and C
//   collector-benchmark detect ROUNDS             time of evaluating one report, and of encoding it
//   collector-benchmark collect-and-detect ROUNDS CPU of one collection with and without evaluation
//   collector-benchmark repeat WHAT COUNT         only repeats, for counting with valgrind
//
// Each prints a line of JSON with medians in microseconds.

let arguments = CommandLine.arguments
guard arguments.count >= 3, let number = Int(arguments[arguments.count - 1]), number > 0 else {
  print(
    "usage: collector-benchmark collect|collect-files|encode|detect|collect-and-detect ROUNDS | repeat WHAT COUNT"
  )
  exit(2)
}

switch arguments[1] {
case "collect": try benchmarkCollection(rounds: number)
case "collect-files": try benchmarkFiles(rounds: number)
case "encode": try benchmarkEncoding(rounds: number)
case "detect": try benchmarkDetection(rounds: number)
case "collect-and-detect": try benchmarkCollectionWithDetection(rounds: number)
case "repeat": try repeatOnly(arguments[2], count: number)
default:
  print("collector-benchmark: no such benchmark: \(arguments[1])")
  exit(2)
}
