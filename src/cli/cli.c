#include "cli/cli.h"

#include "base/map.h"
#include "kernels/kernels.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Every subcommand, one row each. */
static const struct command {
    const char *name;
    unsigned bit;
    int (*run)(sl_settings *s);
    const char *arguments, *help;
    const char *more; /* of the help of this command; NULL: nothing */
} commands[] = {
    {"serve", SL_CMD_SERVE, sl_serve, "[MODEL] [options]", "answer HTTP requests", NULL},
    {"healthcheck", SL_CMD_HEALTH, sl_healthcheck, "[HOST:PORT] [options]", "ask a running server whether it is well",
     "Reads the same configuration as serve and asks its admin address, or where it has none the main one. Exit status 0: it is\n"
     "ready (with --live: it lives); 1: it is not, or does not answer.\n"},
    {"drain", SL_CMD_DRAIN, sl_drain_command, "[HOST:PORT] [options]", "tell a running server to drain, and wait until it has",
     "As POST /drain at its admin address, which the same configuration as serve's names: not ready at once; for --drain-delay work is\n"
     "still taken, then refused. Waits until nothing runs, for --drain-delay and --drain-seconds at most; the server stays until a signal.\n"
     "Exit status 0: it has drained; 1: it has not, or does not answer.\n"},
    {"run", SL_CMD_RUN, sl_run, "[MODEL] PROMPT [options]", "one completion to the terminal", NULL},
    {"chat", SL_CMD_CHAT, sl_chat_command, "[MODEL] [options]", "a conversation in the terminal", NULL},
    {"bench", SL_CMD_BENCH, sl_bench, "[MODEL] [options]", "how fast, and how near to what the machine allows", NULL},
    {"inspect", SL_CMD_INSPECT, sl_inspect, "[MODEL] [options]", "say what a model is and what it will cost", NULL},
    {"convert", SL_CMD_CONVERT, sl_convert_command, "SRC DST --type TYPE", "make a GGUF file of another type of a model", NULL},
    {"perplexity", SL_CMD_PERPLEXITY, sl_perplexity, "[MODEL] FILE... [options]", "how well a model foretells texts", NULL},
    {"imatrix", SL_CMD_IMATRIX, sl_imatrix, "[MODEL] FILE... -o OUT", "count which columns matter, for convert --imatrix", NULL},
    {"experts", SL_CMD_EXPERTS, sl_survey_command, "[MODEL] CORPUS...", "run texts through a model and say what its experts do",
     "CORPUS is text in UTF-8: a file, a domain named after it; a folder, one domain of all its files; NAME=PATH, either under another\n"
     "name (the same NAME again adds to it); or - for standard input.\n"},
};
enum { COMMAND_COUNT = sizeof commands / sizeof commands[0] };

static void usage(FILE *to) {
    fprintf(to, "sluice %s: serves mixture-of-experts language models from CPUs\n\n", SL_VERSION);
    for (int i = 0; i < COMMAND_COUNT; i++)
        fprintf(to, "  sluice %-11s %-25s %s\n", commands[i].name, commands[i].arguments, commands[i].help);
    fprintf(to, "\nMODEL is a .gguf file (or the first of its split parts) or a Hugging Face folder; where it may be left out, the default model.\n"
                "sluice COMMAND --help lists the options of a command.\n");
}

static int help(const struct command *c) {
    sl_buffer out = {0};
    sl_options_help(c->bit, &out);
    printf("sluice %s %s: %s\n\n%s%s%s", c->name, c->arguments, c->help, c->more ? c->more : "", c->more ? "\n" : "", sl_buffer_text(&out));
    sl_buffer_done(&out);
    return 0;
}

static int run(const struct command *c, int argc, char **argv, char **environment) {
    sl_settings s;
    sl_error err;
    bool wants_help;
    int status = 2;
    if (sl_options_parse(c->bit, argc, argv, environment, &s, &wants_help, &err)) {
        fprintf(stderr, "sluice %s: %s\n", c->name, err.message);
        status = err.code == SL_MISUSE ? 2 : 1;
    } else if (wants_help) {
        status = help(c);
    } else if (sl_kernels_choose(s.tier[0] ? s.tier : NULL, &err)) {
        fprintf(stderr, "sluice %s: --tier: %s\n", c->name, err.message);
    } else {
        sl_map_guard();
        if (s.default_model && c->bit != SL_CMD_SERVE) fprintf(stderr, "sluice %s: default model %s\n", c->name, s.model);
        status = c->run(&s);
    }
    sl_options_done(&s);
    return status;
}

/* A descriptor 0, 1 or 2 that the caller closed would be the next socket's, and what is printed be sent to whom that belongs. */
static void fill_standard_descriptors(void) {
    int fd;
    do fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0) close(fd);
}

int sl_cli_main(int argc, char **argv, char **environment) {
    fill_standard_descriptors();
    const char *name = argc > 1 ? argv[1] : "";
    for (int i = 0; i < COMMAND_COUNT; i++)
        if (!strcmp(name, commands[i].name)) return run(&commands[i], argc - 1, argv + 1, environment);
    if (!strcmp(name, "version") || !strcmp(name, "--version")) {
        printf("sluice %s\n", SL_VERSION);
        return 0;
    }
    if (!strcmp(name, "help") || !strcmp(name, "--help") || !strcmp(name, "-h")) {
        usage(stdout);
        return 0;
    }
    if (name[0]) {
        const char *known[COMMAND_COUNT];
        for (int i = 0; i < COMMAND_COUNT; i++) known[i] = commands[i].name;
        const char *near = sl_nearest(name, known, COMMAND_COUNT);
        fprintf(stderr, "sluice: unknown command \"%s\"", name);
        if (near) fprintf(stderr, "; did you mean \"%s\"?", near);
        fprintf(stderr, "\n\n");
    }
    usage(stderr);
    return 2;
}
