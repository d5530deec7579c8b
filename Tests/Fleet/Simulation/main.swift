import Glibc
import Platform

// Simulates the fleets of docs/fleet.md, prints their table, and writes their plot to the given file. Exits with status 1
// if a promise is broken.
guard let file = CommandLine.arguments.dropFirst().first else {
  print("fleet-simulation FILE.svg   prints the table and writes the plot; see Tests/Fleet/run")
  exit(2)
}
var table = Table()
var plot = Plot()
var broken: [String] = []
// Each simulation is deterministic and independent of the others, so they run concurrently.
let runs = studies().map { study in
  Task.detached {
    var fleet = Fleet(study.scenario)
    return (study, fleet.run())
  }
}
for run in runs {
  let (study, seen) = await run.value
  table.add(study.scenario, seen)
  if study.isPlotted { plot.add(study.scenario, seen) }
  broken += study.broken(study.scenario, seen).map { "\(study.scenario.name): it isn't true that \($0)" }
}
print(table.text, terminator: "")
for promise in broken { print(promise) }
do {
  try replacePrivateFile(file, with: Array(plot.svg().utf8))
} catch {
  print("\(file): \(error)")
  exit(2)
}
exit(broken.isEmpty ? 0 : 1)
