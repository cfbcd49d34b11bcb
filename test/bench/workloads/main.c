/*
 * bench NAMES REPEATS PART: workloads, comma-separated; how often each; percent of full size. Prints `RUN name` before each and
 * `DONE name checksum` after it, each at once: the host takes the time by its own clock, which no guest can bend.
 */
#include "bench.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
  const char *name;
  uint32_t (*run)(int part);
} all[] = {
    {"primes", primes}, {"cipher", cipher}, {"sorting", sorting}, {"bytecode", bytecode}, {"matrix", matrix},
    {"filter", filter}, {"text", text}, {"list", list}, {"calls", calls}, {"processes", processes},
    {"pages", pages}, {"switches", switches}, {"newcode", newcode}, {"gaps", gaps},
};

int main(int argc, char **argv) {
  char *names = argc > 1 ? argv[1] : "";
  int repeats = argc > 2 ? atoi(argv[2]) : 1, part = argc > 3 ? atoi(argv[3]) : 100;
  setvbuf(stdout, 0, _IOLBF, 0);
  for (char *name = strtok(names, ","); name; name = strtok(0, ",")) {
    size_t i = 0;
    while (i < sizeof all / sizeof *all && strcmp(all[i].name, name)) i++;
    if (i == sizeof all / sizeof *all) {
      fprintf(stderr, "bench: there is no workload %s\n", name);
      return 2;
    }
    for (int n = 0; n < repeats; n++) {
      printf("RUN %s\n", name);
      printf("DONE %s %08x\n", name, all[i].run(part));
    }
  }
  return 0;
}
