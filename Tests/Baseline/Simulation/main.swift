import Glibc

// Measures the learned baselines on simulated devices, and prints the tables of docs/detect.md. Exits with status 1 if a bound is
// broken.
guard let devices = CommandLine.arguments.dropFirst().first.flatMap({ Int($0) }), devices > 0 else {
  print("baseline-simulation DEVICES   simulates this number of devices of each kind; see Tests/Baseline/run")
  exit(2)
}
// Each device is deterministic and independent of the others, so they run concurrently.
let observed = await withTaskGroup(of: (DeviceKind, Observed).self) { group in
  for (place, kind) in DeviceKind.allCases.enumerated() {
    for number in 0..<devices {
      let seed = UInt64(place * 1_000_000 + number)
      group.addTask { (kind, Trial.run(kind, seed: seed)) }
    }
  }
  var sums: [DeviceKind: Observed] = [:]
  for await (kind, found) in group { sums[kind, default: Observed()].add(found) }
  return sums
}
let table = Table(observed)
print(table.text, terminator: "")
for bound in table.broken { print("It isn't true that \(bound).") }
exit(table.broken.isEmpty ? 0 : 1)
