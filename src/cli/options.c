#include "cli/options.h"

#include "base/alloc.h"
#include "base/json.h"
#include "cli/default.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* How an option's text becomes a field of sl_settings. */
typedef enum kind {
    FLAG,   /* bool */
    INT,    /* int */
    LONG,   /* int64_t */
    SIZE,   /* int64_t bytes: 512M, 2GiB */
    BYTES,  /* size_t bytes */
    REAL,   /* double */
    TEXT,   /* const char * */
    CHOICE, /* const char *, one of `choices` */
    LIST,   /* sl_numbers: 1,8,32 */
} kind;

typedef struct option {
    const char *name; /* "--name", key "name", SLUICE_NAME with - as _ */
    unsigned commands;
    kind kind;
    size_t field;
    double least, most;
    const char *value;    /* default, as text; "" leaves the zero */
    const char *argument; /* how help names the value */
    const char *choices;  /* "a|b|c" */
    const char *help;
} option;

#define AT(f) offsetof(sl_settings, f)
#define S SL_CMD_SERVE
#define R SL_CMD_RUN
#define B SL_CMD_BENCH
#define I SL_CMD_INSPECT
#define C SL_CMD_CONVERT
#define P SL_CMD_PERPLEXITY
#define M SL_CMD_IMATRIX
#define E SL_CMD_EXPERTS
#define T SL_CMD_CHAT
#define H SL_CMD_HEALTH
#define D SL_CMD_DRAIN
#define INT_MOST 2147483647.0

static const option options[] = {
    {"config", S | H | D, TEXT, AT(config_file), 0, 0, "", "FILE", NULL, "configuration in JSON; keys are the option names"},
    {"host", S | H | D, TEXT, AT(http.host), 0, 0, "127.0.0.1", "ADDRESS", NULL, "address to listen on"},
    {"port", S | H | D, INT, AT(http.port), 0, 65535, "8080", "N", NULL, "port to listen on; 0 takes a free one"},
    {"admin", S | H | D, TEXT, AT(admin), 0, 0, "", "HOST:PORT", NULL, "own listener for /metrics, /metrics/experts and POST /drain"},
    {"admin-key-file", S | D, TEXT, AT(http.admin_key_file), 0, 0, "", "FILE", NULL,
     "keys for the metrics, and no others; default: none with --admin"},
    {"api-key-file", S, TEXT, AT(http.api_key_file), 0, 0, "", "FILE", NULL, "accepted keys, one a line; read again on SIGHUP"},
    {"no-auth", S, FLAG, AT(http.no_auth), 0, 1, "", "", NULL, "listen on other addresses than loopback without keys"},
    {"cors-origin", S, TEXT, AT(http.cors_origin), 0, 0, "", "ORIGIN", NULL, "pages that may ask, by origin, with commas (\"*\": any)"},
    {"allowed-hosts", S, TEXT, AT(http.allowed_hosts), 0, 0, "", "NAMES", NULL, "names beside localhost that clients use, with commas"},
    {"body-limit", S | I, BYTES, AT(http.body_limit), 1024, 1073741824, "4M", "SIZE", NULL, "largest request body"},
    {"connections", S | I, INT, AT(http.connections), 1, 65536, "", "N", NULL, "open connections at most; default 4096, fewer where memory is small"},
    {"header-seconds", S, INT, AT(http.header_seconds), 1, 3600, "30", "S", NULL, "time for a client to send a request"},
    {"idle-seconds", S, INT, AT(http.idle_seconds), 1, 86400, "120", "S", NULL, "time that an idle connection is kept"},
    {"model-name", S, TEXT, AT(api.model_names), 0, 0, "", "NAME[,ALIAS...]", NULL, "name in the API; default: the model's own"},
    {"chat-template", S | T, TEXT, AT(chat_template), 0, 0, "", "FILE", NULL, "a chat template to use instead of the model's own"},
    {"strict", S, FLAG, AT(api.strict), 0, 1, "", "", NULL, "refuse unknown request fields"},
    {"request-timeout", S, INT, AT(api.request_timeout), 0, 86400, "600", "S", NULL, "longest life of a request; 0: no limit"},
    {"stuck-seconds", S, INT, AT(api.stuck_seconds), 1, 86400, "120", "S", NULL, "work without progress before /livez fails"},
    {"ping-seconds", S, INT, AT(api.ping_seconds), 0, 3600, "15", "S", NULL, "silence before a stream gets a comment; 0: never"},
    {"metrics-experts", S, CHOICE, AT(metrics_experts), 0, 0, "auto", "", "auto|on|off", "per-expert series in /metrics too (auto: up to 256)"},
    {"queue", S, INT, AT(engine.queue), 0, 1000000, "256", "N", NULL, "requests that may wait"},
    {"token-gap-ms", S, INT, AT(engine.token_gap_ms), 10, 600000, "500", "MS", NULL, "longest wait between tokens because of other prompts"},
    {"drain-delay", S | D, LONG, AT(drain_delay), 0, 3600, "0", "S", NULL, "time after SIGTERM in which work is still taken, while /readyz says 503"},
    {"drain-seconds", S | D, LONG, AT(drain_seconds), 0, 86400, "30", "S", NULL, "time for accepted requests after SIGTERM and --drain-delay"},
    {"live", H, FLAG, AT(live), 0, 1, "", "", NULL, "ask /livez: whether it lives, not whether it is ready"},
    {"timeout", H | D, INT, AT(timeout), 1, 3600, "5", "S", NULL, "time for the server to answer"},
    {"sandbox", S, CHOICE, AT(sandbox), 0, 0, "on", "", "on|strict|off",
     "take from the process the files and system calls that serving does not need; strict: one that is tried all the same "
     "ends it"},
    {"log-level", S, CHOICE, AT(log_level), 0, 0, "info", "", "debug|info|warn|error", "least level that is logged"},
    {"log-format", S, CHOICE, AT(log_format), 0, 0, "auto", "", "auto|text|json", "auto: text on a terminal, JSON otherwise"},
    {"threads", S | R | T | B | C | P | M | E, INT, AT(engine.threads), 0, 1024, "", "N", NULL,
     "threads that compute; default: what affinity and cgroup allow"},
    {"worker-nice", S | R | T | B | P | M | E, INT, AT(engine.worker_nice), 0, 19, "5", "N", NULL,
     "how much nicer the computing threads are than the one that answers"},
    {"ctx", S | R | T | B | I, INT, AT(engine.ctx), 0, 4194304, "", "N", NULL, "positions of the longest sequence"},
    {"ctx", P | M | E, INT, AT(engine.ctx), 4, 4194304, "", "N", NULL, "tokens in a window; default 512, or what the model has if that is less"},
    {"max-sequences", S | I, INT, AT(engine.max_sequences), 1, 4096, "64", "N", NULL, "sequences in the batch at most"},
    {"kv-type", S | R | T | B | I | P | M | E, CHOICE, AT(kv_type), 0, 0, "f16", "", "f16|f32",
     "keys and values: f16 is 16-bit integers with a scale for each position and head (as fine as half floats), f32 floats"},
    {"kv-memory", S | R | T | B | I, SIZE, AT(kv_memory), 0, 1e15, "", "SIZE", NULL, "memory for keys and values"},
    {"state-memory", S | R | T | B | I, SIZE, AT(state_memory), 0, 1e15, "", "SIZE", NULL,
     "memory for the states of models with layers that keep one in place of keys and values: of sequences in the batch, "
     "and saved for later ones"},
    {"prefix-cache", S | T, CHOICE, AT(prefix_cache), 0, 0, "on", "", "on|off", "keep keys and values after a request, for those that begin alike"},
    {"tier", S | R | T | B | I | P | M | E, TEXT, AT(tier), 0, 0, "", "NAME", NULL, "fastest instruction set to use: scalar, avx2, avx_vnni, avx512"},
    {"json", R | B | I | P | E, FLAG, AT(json), 0, 1, "", "", NULL, "print JSON"},
    {"limits", B, FLAG, AT(limits), 0, 1, "", "", NULL, "print the machine's limits and what a step costs at least, nothing else"},
    {"batches", B, LIST, AT(batches), 1, SL_BENCH_BATCH, "", "N[,N...]", NULL,
     "decode with so many sequences; default, if nothing else is asked for: 1,2,4,8,16,32"},
    {"prompts", B, LIST, AT(prompts), 1, SL_BENCH_POSITIONS, "", "N[,N...]", NULL, "prefill of so many tokens; default likewise: 128,512,4096"},
    {"behind", B, LIST, AT(behind), 1, SL_BENCH_POSITIONS - 1, "", "N[,N...]", NULL, "decode one sequence behind so many positions; default likewise: 8191"},
    {"max-tokens", R, LONG, AT(max_tokens), 0, INT_MOST, "128", "N", NULL, "tokens to generate at most"},
    {"max-tokens", T, LONG, AT(max_tokens), 0, INT_MOST, "4096", "N", NULL,
     "tokens of an answer at most, then /continue lets it go on; 0: what the context leaves"},
    {"temperature", R, REAL, AT(temperature), 0, 2, "0", "X", NULL, "0 takes the likeliest token"},
    {"temperature", T, REAL, AT(temperature), 0, 2, "0.7", "X", NULL, "0 takes the likeliest token"},
    {"top-p", R, REAL, AT(top_p), 0, 1, "1", "X", NULL, "keep the likeliest tokens up to this mass"},
    {"top-p", T, REAL, AT(top_p), 0, 1, "0.95", "X", NULL, "keep the likeliest tokens up to this mass"},
    {"system", T, TEXT, AT(system), 0, 0, "", "TEXT", NULL, "the system message that a conversation begins with"},
    {"think", T, TEXT, AT(think), 0, 0, "", "WORD", NULL, "switch thinking, where the template can: on, off; low, medium, high"},
    {"top-k", R | T, LONG, AT(top_k), 0, INT_MOST, "0", "N", NULL, "keep the N likeliest tokens; 0: all"},
    {"min-p", R | T, REAL, AT(min_p), 0, 1, "0", "X", NULL, "drop tokens below this share of the likeliest"},
    {"seed", R | T, LONG, AT(seed), -9.2e18, 9.2e18, "0", "N", NULL, "seed of the random choice"},
    {"stats", R | T, FLAG, AT(stats), 0, 1, "", "", NULL, "say afterwards how fast it was and which experts ran"},
    {"type", C, TEXT, AT(type), 0, 0, "", "TYPE", NULL,
     "of the new file: f32, f16, bf16, q8_0, q6_k, q5_k_m, q5_k_s, q5_1, q5_0, q4_k_m, q4_k_s, q4_1, q4_0, iq4_nl, iq4_xs, "
     "mxfp4_moe, q3_k_l, q3_k_m, q3_k_s, q2_k, q2_k_s"},
    {"split-size", C, SIZE, AT(split_size), 0, 1e15, "", "SIZE", NULL, "weights in a file at most: DST-00001-of-0000N.gguf, ..."},
    {"imatrix", C, TEXT, AT(imatrix), 0, 0, "", "FILE", NULL, "importance of each column, as llama-imatrix writes it"},
    {"force", C | M, FLAG, AT(force), 0, 1, "", "", NULL, "replace a file that is there"},
    {"stride", P, INT, AT(stride), 0, 4194304, "0", "N", NULL,
     "windows begin every N tokens and every token is scored; 0: the second half of each window"},
    {"output", M, TEXT, AT(output), 0, 0, "", "FILE", NULL, "the importance matrix, GGUF; also -o FILE"},
    {"add", M, TEXT, AT(add), 0, 0, "", "FILE[,FILE...]", NULL, "add to what these files say, of the same model"},
    {"tokens", E, LONG, AT(tokens), 0, INT_MOST, "50000", "N", NULL, "tokens of each domain at most; 0: all"},
    {"context", E, INT, AT(engine.ctx), 4, 4194304, "", "N", NULL, "the same as --ctx"},
    {"layer", E, TEXT, AT(layer), 0, 0, "", "N[,N-M]", NULL, "report these layers only"},
    {"top", E, LONG, AT(top), 1, 100, "5", "N", NULL, "rows of each list"},
    {"min-count", E, LONG, AT(min_count), 1, INT_MOST, "10", "N", NULL, "occurrences that a token, a pair or a path needs to be reported"},
    {"html", E, TEXT, AT(html), 0, 0, "", "FILE", NULL, "write a page with all views"},
};
enum { OPTION_COUNT = sizeof options / sizeof options[0] };

#undef S
#undef R
#undef B
#undef I
#undef C
#undef P
#undef M
#undef E
#undef T
#undef H
#undef D

/* Edit distance of two short words, for "did you mean". */
static int distance(const char *a, const char *b) {
    int row[64];
    int n = (int)strlen(b);
    if (n > 62 || strlen(a) > 62) return 99;
    for (int j = 0; j <= n; j++) row[j] = j;
    for (int i = 1; a[i - 1]; i++) {
        int corner = row[0];
        row[0] = i;
        for (int j = 1; j <= n; j++) {
            int best = corner + (a[i - 1] != b[j - 1]);
            if (row[j] + 1 < best) best = row[j] + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            corner = row[j];
            row[j] = best;
        }
    }
    return row[n];
}

const char *sl_nearest(const char *word, const char *const *known, int count) {
    const char *best = NULL;
    int least = (int)strlen(word) / 2 + 1;
    for (int i = 0; i < count; i++) {
        int d = distance(word, known[i]);
        if (d < least) least = d, best = known[i];
    }
    return best;
}

static const option *find(const char *name, size_t len, unsigned command) {
    for (int i = 0; i < OPTION_COUNT; i++)
        if (strlen(options[i].name) == len && !memcmp(options[i].name, name, len))
            if (options[i].commands & command) return &options[i];
    return NULL;
}

static sl_status unknown(const char *what, const char *name, unsigned command, sl_error *e) {
    const char *known[OPTION_COUNT];
    int count = 0;
    for (int i = 0; i < OPTION_COUNT; i++)
        if (options[i].commands & command) known[count++] = options[i].name;
    const char *near = sl_nearest(name, known, count);
    if (near) return sl_fail_param(e, SL_MISUSE, name, "unknown %s \"%s\"; did you mean \"%s\"?", what, name, near);
    return sl_fail_param(e, SL_MISUSE, name, "unknown %s \"%s\"; see --help", what, name);
}

/* "512M", "2GiB", "1000000": bytes, powers of 1024. */
static bool parse_size(const char *text, double *ret) {
    char *end;
    errno = 0;
    double x = strtod(text, &end);
    if (end == text || errno || !isfinite(x) || x < 0) return false;
    static const char units[] = "KMGT";
    const char *unit = *end ? strchr(units, toupper((unsigned char)*end)) : NULL;
    if (*end && unit) {
        for (const char *u = units; u <= unit; u++) x *= 1024;
        end++;
        if (*end == 'i') end++;
    }
    if (*end == 'B') end++;
    *ret = floor(x);
    return *end == 0;
}

static bool is_choice(const char *choices, const char *text) {
    size_t len = strlen(text);
    for (const char *p = choices; len; p++) {
        const char *end = strchrnul(p, '|');
        if ((size_t)(end - p) == len && !memcmp(p, text, len)) return true;
        if (!*end) break;
        p = end;
    }
    return false;
}

static sl_status set_list(sl_numbers *list, const option *o, const char *text, const char *where, sl_error *e) {
    *list = (sl_numbers){0};
    for (const char *at = text; *text;) {
        char *end;
        errno = 0;
        long i = strtol(at, &end, 10);
        if (end == at || (*end && *end != ',') || errno)
            return sl_fail_param(e, SL_MISUSE, o->name, "%s: \"%s\" are no whole numbers with commas between them", where, text);
        if (!((double)i >= o->least && (double)i <= o->most))
            return sl_fail_param(e, SL_MISUSE, o->name, "%s: %ld is out of range (%.0f to %.0f)", where, i, o->least, o->most);
        if (list->count == SL_NUMBERS)
            return sl_fail_param(e, SL_MISUSE, o->name, "%s: more than %d numbers", where, SL_NUMBERS);
        list->value[list->count++] = (int)i;
        if (!*end) break;
        at = end + 1;
    }
    return SL_OK;
}

/* Sets one option from text. `where` says where the text stood ("--port", "SLUICE_PORT", "conf.json: port"). */
static sl_status set(sl_settings *s, const option *o, const char *text, const char *where, sl_error *e) {
    void *field = (char *)s + o->field;
    char *end = NULL;
    double x = 0;
    errno = 0;
    switch (o->kind) {
    case TEXT: {
        char *copy = sl_arena_copy(s->arena, SL_MEM_OTHER, text, strlen(text));
        if (!copy) return sl_fail(e, SL_NOMEM, "out of memory");
        *(const char **)field = copy;
        return SL_OK;
    }
    case CHOICE: {
        if (!is_choice(o->choices, text))
            return sl_fail_param(e, SL_MISUSE, o->name, "%s: \"%s\" is none of %s", where, text, o->choices);
        char *copy = sl_arena_copy(s->arena, SL_MEM_OTHER, text, strlen(text));
        if (!copy) return sl_fail(e, SL_NOMEM, "out of memory");
        *(const char **)field = copy;
        return SL_OK;
    }
    case FLAG: {
        bool yes = !strcmp(text, "true") || !strcmp(text, "1") || !strcmp(text, "yes") || !strcmp(text, "on");
        bool no = !strcmp(text, "false") || !strcmp(text, "0") || !strcmp(text, "no") || !strcmp(text, "off");
        if (!yes && !no) return sl_fail_param(e, SL_MISUSE, o->name, "%s: \"%s\" is neither true nor false", where, text);
        *(bool *)field = yes;
        return SL_OK;
    }
    case LIST: return set_list(field, o, text, where, e);
    case SIZE:
    case BYTES:
        if (!parse_size(text, &x)) return sl_fail_param(e, SL_MISUSE, o->name, "%s: \"%s\" is no size (512M, 2G)", where, text);
        break;
    case LONG:
    case INT: {
        long long i = strtoll(text, &end, 10);
        if (end == text || *end || errno)
            return sl_fail_param(e, SL_MISUSE, o->name, "%s: \"%s\" is no whole number", where, text);
        x = (double)i;
        if (x >= o->least && x <= o->most && o->kind == LONG) {
            *(int64_t *)field = i;
            return SL_OK;
        }
        break;
    }
    case REAL:
        x = strtod(text, &end);
        if (end == text || *end || errno || !isfinite(x))
            return sl_fail_param(e, SL_MISUSE, o->name, "%s: \"%s\" is no number", where, text);
        break;
    }
    if (!(x >= o->least && x <= o->most))
        return sl_fail_param(e, SL_MISUSE, o->name, "%s: %s is out of range (%.0f to %.0f)", where, text, o->least, o->most);
    switch (o->kind) {
    case INT: *(int *)field = (int)x; break;
    case SIZE: *(int64_t *)field = (int64_t)x; break;
    case BYTES: *(size_t *)field = (size_t)x; break;
    case REAL: *(double *)field = x; break;
    default: break;
    }
    return SL_OK;
}

static void environment_name(const option *o, char *ret, size_t cap) {
    size_t n = (size_t)snprintf(ret, cap, "SLUICE_%s", o->name);
    for (size_t i = 0; i < n && i < cap - 1; i++) ret[i] = ret[i] == '-' ? '_' : (char)toupper((unsigned char)ret[i]);
}

static void warn_unknown(const char *variable) {
    char names[OPTION_COUNT][64];
    const char *known[OPTION_COUNT];
    for (int i = 0; i < OPTION_COUNT; i++) {
        environment_name(&options[i], names[i], sizeof names[i]);
        known[i] = names[i] + strlen("SLUICE_");
    }
    const char *near = sl_nearest(variable + strlen("SLUICE_"), known, OPTION_COUNT);
    fprintf(stderr, "sluice: warning: unknown environment variable %s", variable);
    if (near) fprintf(stderr, "; did you mean SLUICE_%s?", near);
    fprintf(stderr, "\n");
}

static sl_status from_environment(unsigned command, char **environment, sl_settings *s, sl_error *e) {
    for (char **v = environment; *v; v++) {
        if (strncmp(*v, "SLUICE_", 7) || !strncmp(*v, "SLUICE_TESTS=", 13)) continue;
        const char *equals = strchr(*v, '=');
        if (!equals) continue;
        const option *o = NULL;
        bool known = !strncmp(*v, "SLUICE_MODEL=", 13);
        for (int i = 0; i < OPTION_COUNT; i++) {
            char name[64];
            environment_name(&options[i], name, sizeof name);
            if (strlen(name) != (size_t)(equals - *v) || memcmp(name, *v, strlen(name))) continue;
            known = true;
            if (options[i].commands & command) o = &options[i];
        }
        char where[80];
        snprintf(where, sizeof where, "%.*s", (int)(equals - *v), *v);
        if (!strncmp(equals + 1, "tcp://", 6)) {
            fprintf(stderr, "sluice: ignoring %s: it is a service address of the cluster, not an option\n", where);
        } else if (!known) {
            warn_unknown(where);
        } else if (!strcmp(where, "SLUICE_MODEL")) {
            if (equals[1]) s->model = equals + 1;
        } else if (o) {
            sl_status st = set(s, o, equals + 1, where, e);
            if (st) return st;
        }
    }
    return SL_OK;
}

static sl_status read_file(const char *path, sl_buffer *out, sl_error *e) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return sl_fail_param(e, SL_IO, "config", "--config %s: %s", path, strerror(errno));
    for (char block[4096];;) {
        ssize_t n = read(fd, block, sizeof block);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            close(fd);
            return sl_fail_param(e, SL_IO, "config", "--config %s: %s", path, strerror(errno));
        }
        if (n == 0) break;
        sl_buffer_append(out, block, (size_t)n);
        if (out->failed || out->len > 1 << 20) {
            close(fd);
            return sl_fail_param(e, SL_TOO_LONG, "config", "--config %s: larger than 1 MiB", path);
        }
    }
    close(fd);
    return SL_OK;
}

/* One member of the configuration file: numbers, strings and booleans are taken as the command line would spell them. */
static sl_status from_member(unsigned command, const sl_json *top, const char *key, sl_settings *s, sl_error *e) {
    sl_json at;
    if (!sl_json_get(top, key, &at)) return SL_OK; /* null: the default */
    char text[64], where[256];
    const char *value = text;
    if (json_is_string(at.v)) {
        sl_status st = sl_json_string(&at, &value, NULL, e); /* not one with a NUL, of which only the beginning would count */
        if (st) return st;
    } else if (json_is_boolean(at.v)) {
        value = json_is_true(at.v) ? "true" : "false";
    } else if (json_is_integer(at.v)) {
        snprintf(text, sizeof text, "%lld", (long long)json_integer_value(at.v));
    } else if (json_is_real(at.v)) {
        snprintf(text, sizeof text, "%.17g", json_real_value(at.v));
    } else {
        return sl_json_fail(&at, e, "must be a string, a number or a boolean");
    }
    snprintf(where, sizeof where, "%s: %s", top->origin, key);
    if (!strcmp(key, "model")) {
        if (!value[0]) return SL_OK;
        char *copy = sl_arena_copy(s->arena, SL_MEM_OTHER, value, strlen(value));
        if (!copy) return sl_fail(e, SL_NOMEM, "out of memory");
        s->model = copy;
        return SL_OK;
    }
    const option *o = find(key, strlen(key), command);
    if (!o || !strcmp(key, "config")) {
        sl_status st = unknown("key", key, command, e);
        sl_error_prefix(e, "%s", top->origin);
        return st;
    }
    return set(s, o, value, where, e);
}

static sl_status from_file(unsigned command, const char *path, sl_settings *s, sl_error *e) {
    sl_buffer text = {0};
    sl_json top = {0};
    sl_status st = read_file(path, &text, e);
    if (st) goto fail;
    st = sl_json_parse(text.data ? text.data : "", text.len, path, &top, e);
    if (st) goto wrong;
    st = sl_json_object(&top, e);
    const char *key;
    json_t *value;
    if (!st) json_object_foreach(top.v, key, value) {
        st = from_member(command, &top, key, s, e);
        if (st) break;
    }
wrong: /* whatever it is that is wrong in it, the configuration has to be mended first */
    if (st && st != SL_NOMEM) st = e->code = SL_MISUSE;
fail:
    if (top.v) json_decref(top.v);
    sl_buffer_done(&text);
    return st;
}

/* How many arguments a command has beside its options, at most. */
static int most_arguments(unsigned command) {
    if (command & SL_CMD_TEXTS) return INT_MAX;
    return command & (SL_CMD_RUN | SL_CMD_CONVERT) ? 2 : 1;
}

/* The arguments of `run`: PROMPT, or MODEL PROMPT. */
static sl_status place_prompt(const char *const *argument, int count, sl_settings *s, sl_error *e) {
    if (count == 0) return sl_fail_param(e, SL_MISUSE, "prompt", "no prompt given: sluice run [MODEL] PROMPT");
    if (count == 1 && sl_model_like(argument[0]))
        return sl_fail_param(e, SL_MISUSE, "prompt", "no prompt given: \"%s\" names a model, and PROMPT is missing after it", argument[0]);
    if (count == 2) s->model = argument[0];
    s->prompt = argument[count - 1];
    return SL_OK;
}

/* What an argument is, by its place: MODEL comes first. Where it may be left out before others (PROMPT, FILE…) a single
 * argument is none, and of several files the first is one if it looks like one. */
static sl_status place(unsigned command, const char *const *argument, int count, sl_settings *s, sl_error *e) {
    if (command == SL_CMD_RUN) return place_prompt(argument, count, s, e);
    if (command & SL_CMD_ASKS) {
        if (count) s->admin = argument[0]; /* this address is asked, whatever the server's others are */
        return SL_OK;
    }
    bool names_model = count > 0 && (!(command & SL_CMD_TEXTS) || sl_model_like(argument[0]));
    if (names_model) s->model = argument[0];
    if (command & SL_CMD_TEXTS) {
        s->corpus = argument + names_model;
        s->corpus_count = count - names_model;
    }
    if (command == SL_CMD_CONVERT && count == 2) s->destination = argument[1];
    return SL_OK;
}

/* Takes the options of the command line and its arguments. only_config: takes --config alone, since the file is read before the
 * other options win over it. */
static sl_status from_arguments(unsigned command, int argc, char **argv, bool only_config, sl_settings *s, bool *ret_help,
                                sl_error *e) {
    const char **positional = sl_arena_array(s->arena, SL_MEM_OTHER, (size_t)argc, sizeof *positional);
    int most = most_arguments(command), count = 0;
    bool plain = false;
    if (!positional) return sl_fail(e, SL_NOMEM, "out of memory");
    for (int i = 1; i < argc; i++) {
        const char *a = argv[i];
        if (plain || a[0] != '-' || !a[1]) {
            if (count == most)
                return sl_fail(e, SL_MISUSE, "too many arguments: \"%s\"%s", a,
                               command == SL_CMD_RUN ? " (a prompt of several words needs quotes)" : "");
            positional[count++] = a;
            continue;
        }
        if (!strcmp(a, "--")) {
            plain = true;
            continue;
        }
        if (!strcmp(a, "--help") || !strcmp(a, "-h")) {
            *ret_help = true;
            return SL_OK;
        }
        if (!strcmp(a, "-o")) a = "--output";
        if (strncmp(a, "--", 2)) return sl_fail(e, SL_MISUSE, "options begin with two dashes: \"%s\"", a);
        const char *equals = strchr(a, '=');
        size_t len = equals ? (size_t)(equals - a) - 2 : strlen(a + 2);
        const option *o = find(a + 2, len, command);
        if (!o) {
            char name[64];
            snprintf(name, sizeof name, "%.*s", (int)(len < 60 ? len : 60), a + 2);
            return unknown("option", name, command, e);
        }
        const char *value = equals ? equals + 1 : "true";
        if (!equals && o->kind != FLAG) {
            if (i + 1 == argc) return sl_fail_param(e, SL_MISUSE, o->name, "--%s wants a value", o->name);
            value = argv[++i];
        }
        if (only_config != (o->field == AT(config_file))) continue;
        char where[64];
        snprintf(where, sizeof where, "--%s", o->name);
        sl_status st = set(s, o, value, where, e);
        if (st) return st;
    }
    return only_config ? SL_OK : place(command, positional, count, s, e);
}

/* Nobody named a model: the one that comes with the program (to converse, the one that talks), but for `convert`, which has no use for it. */
static sl_status take_default(unsigned command, sl_settings *s, sl_error *e) {
    if (command == SL_CMD_CONVERT)
        return sl_fail_param(e, SL_MISUSE, "model", "no model given: name a .gguf file or a folder with config.json");
    sl_status st = command == SL_CMD_CHAT ? sl_talking_model("/proc/self/exe", s->arena, &s->model, e)
                                          : sl_default_model("/proc/self/exe", s->arena, &s->model, e);
    s->default_model = st == SL_OK;
    return st;
}

static sl_status set_default(sl_settings *s, const option *o, sl_error *e) {
    return o->value[0] || o->kind == TEXT ? set(s, o, o->value, o->name, e) : SL_OK;
}

sl_status sl_options_parse(unsigned command, int argc, char **argv, char **environment, sl_settings *s, bool *ret_help,
                           sl_error *e) {
    sl_status st = SL_OK;
    *s = (sl_settings){.arena = sl_arena_new()};
    *ret_help = false;
    if (!s->arena) return sl_fail(e, SL_NOMEM, "out of memory");
    for (int i = 0; i < OPTION_COUNT && !st; i++) st = set_default(s, &options[i], e);
    for (int i = 0; i < OPTION_COUNT && !st; i++) /* where commands differ, this one's */
        if (options[i].commands & command) st = set_default(s, &options[i], e);
    /* The file's name first: it stands below the rest, but only the rest says which file. */
    const char *file = getenv("SLUICE_CONFIG");
    s->serves = command & (SL_CMD_SERVE | SL_CMD_INSPECT);
    if (!st) st = from_arguments(command, argc, argv, true, s, ret_help, e);
    if (st || *ret_help) return st;
    if (!s->config_file[0] && file && command & (SL_CMD_SERVE | SL_CMD_ASKS)) s->config_file = file;
    unsigned reader = command & SL_CMD_ASKS ? SL_CMD_SERVE : command; /* it reads the file of the server that it asks */
    if (s->config_file[0]) st = from_file(reader, s->config_file, s, e);
    if (!st) st = from_environment(command, environment, s, e);
    if (!st) st = from_arguments(command, argc, argv, false, s, ret_help, e);
    if (st || *ret_help || s->model || command & SL_CMD_ASKS) return st;
    return take_default(command, s, e);
}

void sl_options_done(sl_settings *s) { s->arena = sl_arena_free(s->arena); }

void sl_options_help(unsigned command, sl_buffer *out) {
    for (int i = 0; i < OPTION_COUNT; i++) {
        const option *o = &options[i];
        if (!(o->commands & command)) continue;
        char left[64];
        snprintf(left, sizeof left, "--%s %s", o->name, o->kind == CHOICE ? o->choices : o->argument);
        sl_buffer_printf(out, "  %-34s %s", left, o->help);
        if (o->value[0]) sl_buffer_printf(out, " (default %s)", o->value);
        sl_buffer_puts(out, "\n");
    }
    sl_buffer_puts(out, "\nEvery option is also a variable SLUICE_NAME and, for serve, a key of the JSON file given by --config.\n");
}
