/* The configuration file of `sluice serve`. */
#include "cli/options.h"

#include "scratch.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const sl_settings *s) {
    must(s->http.port >= 0 && s->http.port <= 65535 && s->engine.queue >= 0 && s->engine.queue <= 1000000);
    must(s->engine.max_sequences >= 1 && s->engine.max_sequences <= 4096 && s->engine.ctx >= 0 && s->engine.threads <= 1024);
    must(s->http.body_limit >= 1024 && s->http.body_limit <= 1 << 30 && s->kv_memory >= 0);
    must(s->drain_delay >= 0 && s->drain_delay <= 3600 && s->drain_seconds <= 86400);
    must(!strcmp(s->kv_type, "f16") || !strcmp(s->kv_type, "f32"));
    must(!strcmp(s->sandbox, "on") || !strcmp(s->sandbox, "strict") || !strcmp(s->sandbox, "off"));
    must(s->model && s->http.host && s->log_level[0] && s->chat_template && s->tier);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    scratch file = scratch_open(data, size);
    char serve[] = "serve", config[] = "--config", model[] = "model", *nothing[] = {NULL};
    char *line[] = {serve, config, file.path, model, NULL};
    sl_settings s;
    sl_error e = {0};
    bool help;
    if (sl_options_parse(SL_CMD_SERVE, 4, line, nothing, &s, &help, &e) == SL_OK) check(&s);
    else must(e.message[0] != 0);
    sl_options_done(&s);
    scratch_close(&file);
    return 0;
}
