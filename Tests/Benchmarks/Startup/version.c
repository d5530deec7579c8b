// The least that a program with `--version` can do. Linked statically.
#include <stdio.h>

int main(void) { return puts("version 1") < 0; }
