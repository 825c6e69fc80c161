/* cli.h: the subcommands; each returns the exit status: 0 done, 1 failed, 2 misused.
 * The main thread. */
#ifndef SL_CLI_CLI_H
#define SL_CLI_CLI_H

#include "cli/options.h"

int sl_cli_main(int argc, char **argv, char **environment);

int sl_serve(sl_settings *s);
int sl_healthcheck(sl_settings *s);
int sl_drain_command(sl_settings *s);
int sl_run(sl_settings *s);
int sl_chat_command(sl_settings *s);
int sl_bench(sl_settings *s);
int sl_inspect(sl_settings *s);
int sl_convert_command(sl_settings *s);
int sl_perplexity(sl_settings *s);
int sl_imatrix(sl_settings *s);
int sl_survey_command(sl_settings *s);

#endif
