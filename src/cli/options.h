/* options.h: every option, one row each: command line, environment, configuration key, range, help.
 * Before the threads start; constant afterwards.
 *
 * The command line wins over the environment, that over the file. Unknown options and keys are errors that name the nearest
 * known one; an unknown SLUICE_… variable is a warning. */
#ifndef SL_CLI_OPTIONS_H
#define SL_CLI_OPTIONS_H

#include "api/api.h"
#include "base/arena.h"
#include "base/error.h"
#include "base/log.h"
#include "engine/engine.h"
#include "http/http.h"

#include <stdbool.h>
#include <stdint.h>

/* Which subcommands know an option. */
enum {
    SL_CMD_SERVE = 1,
    SL_CMD_RUN = 2,
    SL_CMD_BENCH = 4,
    SL_CMD_INSPECT = 8,
    SL_CMD_CONVERT = 16,
    SL_CMD_EXPERTS = 32,
    SL_CMD_PERPLEXITY = 64,
    SL_CMD_IMATRIX = 128,
    SL_CMD_CHAT = 256,
    SL_CMD_HEALTH = 512,
    SL_CMD_DRAIN = 1024,
    SL_CMD_ASKS = SL_CMD_HEALTH | SL_CMD_DRAIN, /* those that ask a running server, and read the configuration that it has */
    SL_CMD_TEXTS = SL_CMD_EXPERTS | SL_CMD_PERPLEXITY | SL_CMD_IMATRIX, /* those that take [MODEL] FILE… */
};

/* Whole numbers, as "1,8,32" on the command line; count 0: none were given. */
enum { SL_NUMBERS = 16 };
typedef struct sl_numbers {
    int count;
    int value[SL_NUMBERS];
} sl_numbers;

/* What `bench` has room for. */
enum {
    SL_BENCH_BATCH = 256,       /* sequences of --batches */
    SL_BENCH_POSITIONS = 16384, /* of one sequence: --prompts, or --behind and one more */
};

/* What the options fill: each folder's own configuration, and what only the wiring needs. */
typedef struct sl_settings {
    const char *model;  /* the argument MODEL, else SLUICE_MODEL, else the key "model", else the default model */
    bool default_model; /* it is the default model: nobody named one */
    const char *prompt; /* argument of `run` */
    const char *destination; /* … of `convert` */
    const char *const *corpus; /* [corpus_count] the texts of the commands that read some; they point into argv */
    int corpus_count;
    const char *config_file;
    sl_engine_config engine; /* threads 0: as the machine allows; ctx 0 and kv_pages 0: planned */
    sl_http_config http;
    sl_api_config api;
    int64_t kv_memory;     /* bytes; 0: planned */
    int64_t state_memory;     /* bytes; 0: planned */
    const char *kv_type;   /* "f16" or "f32" */
    const char *prefix_cache; /* "on" or "off" */
    const char *tier;      /* kernels at most; "" */
    const char *admin;     /* HOST:PORT or "" */
    const char *metrics_experts; /* auto, on, off */
    int64_t drain_delay, drain_seconds;
    bool live;   /* healthcheck: whether it lives, not whether it is ready */
    int timeout; /* … and drain: seconds until an answer */
    const char *chat_template; /* file, or "": the model's own */
    const char *log_level, *log_format;
    const char *sandbox; /* "on", "strict" or "off" */
    bool serves; /* the command serves, or says what serving costs */
    bool json;
    /* bench */
    bool limits; /* these alone */
    sl_numbers prompts, batches, behind; /* what is measured; all empty: the usual ones */
    /* run, chat */
    int64_t max_tokens, top_k, seed;
    double temperature, top_p, min_p;
    bool stats;
    const char *system; /* chat: the system message it begins with, "" for none */
    const char *think;  /* chat: the word that switches thinking, "": as the template has it */
    /* convert */
    const char *type, *imatrix;
    int64_t split_size;
    bool force; /* imatrix too */
    /* perplexity */
    int stride; /* 0: windows beside each other, of which the second half is scored */
    /* imatrix */
    const char *output, *add;
    /* experts */
    int64_t tokens, min_count, top; /* tokens 0: all */
    const char *layer, *html;
    sl_arena *arena; /* owns the strings */
} sl_settings;

/* Fills *s with defaults, then the file, the environment and the command line. argv[0] is the subcommand.
 * *ret_help: --help was asked for (nothing else was checked then). Warnings go to standard error. */
sl_status sl_options_parse(unsigned command, int argc, char **argv, char **environment, sl_settings *s, bool *ret_help,
                           sl_error *e);
void sl_options_done(sl_settings *s);

/* The options of a subcommand as a page of text. */
void sl_options_help(unsigned command, sl_buffer *out);

/* The known word nearest to `word`, for "did you mean"; NULL if none is near. */
const char *sl_nearest(const char *word, const char *const *known, int count);

#endif
