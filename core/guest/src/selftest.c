#include "kernel.h"
void command_selftest(int argc, char **argv) {(void)argc;(void)argv;}
