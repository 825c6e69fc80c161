/* main.c: the program: one subcommand, one file in cli/. */
#include "cli/cli.h"

int main(int argc, char **argv, char **environment) { return sl_cli_main(argc, argv, environment); }
