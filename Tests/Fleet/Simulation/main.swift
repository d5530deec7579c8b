import Glibc
import Platform

// Simulates the fleets of docs/fleet.md, prints their table, and writes their plot and the table of alarms to the given files. Exits with status 1
// if a promise is broken.
let files = Array(CommandLine.arguments.dropFirst())
guard files.count == 2 else {
  print(
    "fleet-simulation PLOT.svg ALARMS   prints the table, and writes the plot and the table of alarms; see Tests/Fleet/run"
  )
  exit(2)
}
var alarms = ""
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
  if study.scenario.detects { alarms += AlarmTable.text(study.scenario, seen) }
  if study.isPlotted { plot.add(study.scenario, seen) }
  broken += study.broken(study.scenario, seen).map { "\(study.scenario.name): it isn't true that \($0)" }
}
print(table.text, terminator: "")
for promise in broken { print(promise) }
for (file, text) in [(files[0], plot.svg()), (files[1], alarms)] {
  do {
    try replacePrivateFile(file, with: Array(text.utf8))
  } catch {
    print("\(file): \(error)")
    exit(2)
  }
}
exit(broken.isEmpty ? 0 : 1)
