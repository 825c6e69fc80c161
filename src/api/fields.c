#include "api/fields.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How a field is treated. */
typedef enum treatment {
    HONOURED_INT,
    HONOURED_REAL,
    HONOURED_BOOL,
    HONOURED_STRING,
    HONOURED_OTHER, /* read by a function of its own */
    HARMLESS,       /* accepted, no effect on the answer */
    NEUTRAL,        /* would change the answer and is not supported: only `neutral` values (and null) are accepted */
} treatment;

typedef struct field {
    const char *name;
    unsigned where; /* sl__endpoint */
    treatment treatment;
    size_t offset;
    double least, most;
    const char *neutral; /* JSON values that change nothing, separated by '|' */
} field;

#define ANY (SL__COMPLETIONS | SL__CHAT)
#define AT(f) offsetof(sl__fields, f)
#define INT_MOST 2147483647.0

static const field fields[] = {
    {"model", ANY, HONOURED_STRING, AT(model), 0, 0, NULL},
    {"prompt", SL__COMPLETIONS, HONOURED_OTHER, 0, 0, 0, NULL},
    {"messages", SL__CHAT, HONOURED_OTHER, 0, 0, 0, NULL},
    {"add_generation_prompt", SL__CHAT, HONOURED_OTHER, 0, 0, 0, NULL},
    {"continue_final_message", SL__CHAT, HONOURED_OTHER, 0, 0, 0, NULL},
    {"chat_template_kwargs", SL__CHAT, HONOURED_OTHER, 0, 0, 0, NULL},
    {"reasoning_effort", SL__CHAT, HONOURED_OTHER, 0, 0, 0, NULL},
    {"include_reasoning", SL__CHAT, HONOURED_BOOL, AT(include_reasoning), 0, 0, NULL},
    {"max_tokens", ANY, HONOURED_INT, AT(max_tokens), -1, INT_MOST, NULL},
    {"max_completion_tokens", ANY, HONOURED_INT, AT(max_completion_tokens), -1, INT_MOST, NULL}, /* chat's name; some send both */
    {"min_tokens", ANY, HONOURED_INT, AT(min_tokens), 0, INT_MOST, NULL},
    {"temperature", ANY, HONOURED_REAL, AT(temperature), 0, 2, NULL},
    {"top_p", ANY, HONOURED_REAL, AT(top_p), 0, 1, NULL},
    {"top_k", ANY, HONOURED_INT, AT(top_k), -1, INT_MOST, NULL},
    {"min_p", ANY, HONOURED_REAL, AT(min_p), 0, 1, NULL},
    {"seed", ANY, HONOURED_INT, AT(seed), -9223372036854775808.0, 9223372036854775807.0, NULL},
    {"n", ANY, HONOURED_INT, AT(n), 1, SL_MAX_CHOICES, NULL},
    {"best_of", ANY, HONOURED_OTHER, 0, 0, 0, NULL},
    {"stop", ANY, HONOURED_OTHER, 0, 0, 0, NULL},
    {"stop_token_ids", ANY, HONOURED_OTHER, 0, 0, 0, NULL},
    {"include_stop_str_in_output", ANY, HONOURED_BOOL, AT(include_stop), 0, 0, NULL},
    {"echo", SL__COMPLETIONS, HONOURED_BOOL, AT(echo), 0, 0, NULL},
    {"echo", SL__CHAT, NEUTRAL, 0, 0, 0, "false"},
    {"logprobs", SL__COMPLETIONS, HONOURED_INT, AT(logprobs), 0, SL_TOP_LOGPROBS, NULL},
    {"logprobs", SL__CHAT, HONOURED_BOOL, AT(chat_logprobs), 0, 0, NULL},
    {"top_logprobs", SL__CHAT, HONOURED_INT, AT(top_logprobs), 0, SL_TOP_LOGPROBS, NULL},
    {"presence_penalty", ANY, HONOURED_REAL, AT(presence), -2, 2, NULL},
    {"frequency_penalty", ANY, HONOURED_REAL, AT(frequency), -2, 2, NULL},
    {"repetition_penalty", ANY, HONOURED_REAL, AT(repetition), 0.01, 100, NULL},
    {"logit_bias", ANY, HONOURED_OTHER, 0, 0, 0, NULL},
    {"ignore_eos", ANY, HONOURED_BOOL, AT(ignore_eos), 0, 0, NULL},
    {"skip_special_tokens", ANY, HONOURED_BOOL, AT(skip_special), 0, 0, NULL},
    {"add_special_tokens", ANY, HONOURED_BOOL, AT(add_special), 0, 0, NULL},
    {"stream", ANY, HONOURED_BOOL, AT(stream), 0, 0, NULL},
    {"stream_options", ANY, HONOURED_OTHER, 0, 0, 0, NULL},
    {"cache_salt", ANY, HONOURED_OTHER, 0, 0, 0, NULL},
    {"return_token_ids", ANY, HONOURED_BOOL, AT(return_ids), 0, 0, NULL},
    {"return_tokens_as_token_ids", ANY, HONOURED_BOOL, AT(ids_as_tokens), 0, 0, NULL},

    {"user", ANY, HARMLESS, 0, 0, 0, NULL},
    {"metadata", ANY, HARMLESS, 0, 0, 0, NULL},
    {"store", ANY, HARMLESS, 0, 0, 0, NULL},
    {"service_tier", ANY, HARMLESS, 0, 0, 0, NULL},
    {"request_id", ANY, HARMLESS, 0, 0, 0, NULL},
    {"session_id", ANY, HARMLESS, 0, 0, 0, NULL},
    {"safety_identifier", ANY, HARMLESS, 0, 0, 0, NULL},
    {"prompt_cache_key", ANY, HARMLESS, 0, 0, 0, NULL},
    {"cache_prompt", ANY, HARMLESS, 0, 0, 0, NULL},
    {"stream_interval", ANY, HARMLESS, 0, 0, 0, NULL},
    {"truncation_side", ANY, HARMLESS, 0, 0, 0, NULL},
    {"parallel_tool_calls", ANY, HARMLESS, 0, 0, 0, NULL},
    {"prediction", ANY, HARMLESS, 0, 0, 0, NULL},
    {"guided_decoding_backend", ANY, HARMLESS, 0, 0, 0, NULL},
    {"id_slot", ANY, HARMLESS, 0, 0, 0, NULL},
    {"n_keep", ANY, HARMLESS, 0, 0, 0, NULL}, /* of a prompt that is cut: none is */
    {"mirostat_tau", ANY, HARMLESS, 0, 0, 0, NULL}, /* of what is off */
    {"mirostat_eta", ANY, HARMLESS, 0, 0, 0, NULL},
    {"dry_base", ANY, HARMLESS, 0, 0, 0, NULL},
    {"dry_allowed_length", ANY, HARMLESS, 0, 0, 0, NULL},
    {"dry_penalty_last_n", ANY, HARMLESS, 0, 0, 0, NULL},
    {"xtc_threshold", ANY, HARMLESS, 0, 0, 0, NULL},
    {"dynatemp_exponent", ANY, HARMLESS, 0, 0, 0, NULL},
    {"repeat_last_n", ANY, HARMLESS, 0, 0, 0, NULL},
    {"spaces_between_special_tokens", ANY, HARMLESS, 0, 0, 0, NULL},
    {"prompt_cache_retention", ANY, HARMLESS, 0, 0, 0, NULL},
    {"verbosity", SL__CHAT, HARMLESS, 0, 0, 0, NULL},
    {"web_search_options", SL__CHAT, HARMLESS, 0, 0, 0, NULL},
    {"mm_processor_kwargs", SL__CHAT, HARMLESS, 0, 0, 0, NULL},
    {"media_io_kwargs", SL__CHAT, HARMLESS, 0, 0, 0, NULL},

    {"suffix", ANY, NEUTRAL, 0, 0, 0, "\"\""},
    {"tools", ANY, NEUTRAL, 0, 0, 0, "[]"},
    {"tool_choice", ANY, NEUTRAL, 0, 0, 0, "\"none\"|\"auto\""},
    {"functions", ANY, NEUTRAL, 0, 0, 0, "[]"},
    {"response_format", ANY, NEUTRAL, 0, 0, 0, "{\"type\":\"text\"}|{}"},
    {"structured_outputs", ANY, NEUTRAL, 0, 0, 0, "{}"},
    {"guided_json", ANY, NEUTRAL, 0, 0, 0, ""},
    {"guided_regex", ANY, NEUTRAL, 0, 0, 0, ""},
    {"guided_choice", ANY, NEUTRAL, 0, 0, 0, ""},
    {"guided_grammar", ANY, NEUTRAL, 0, 0, 0, ""},
    {"grammar", ANY, NEUTRAL, 0, 0, 0, "\"\""},
    {"json_schema", ANY, NEUTRAL, 0, 0, 0, "{}"},
    {"use_beam_search", ANY, NEUTRAL, 0, 0, 0, "false"},
    {"length_penalty", ANY, NEUTRAL, 0, 0, 0, "1|1.0"},
    {"truncate_prompt_tokens", ANY, NEUTRAL, 0, 0, 0, ""},
    {"prompt_logprobs", ANY, NEUTRAL, 0, 0, 0, ""},
    {"allowed_token_ids", ANY, NEUTRAL, 0, 0, 0, "[]"},
    {"bad_words", ANY, NEUTRAL, 0, 0, 0, "[]"},
    {"prompt_embeds", ANY, NEUTRAL, 0, 0, 0, ""},
    {"logits_processors", ANY, NEUTRAL, 0, 0, 0, "[]"},
    {"repetition_detection", ANY, NEUTRAL, 0, 0, 0, ""},
    {"typical_p", ANY, NEUTRAL, 0, 0, 0, "1|1.0"},
    {"repeat_penalty", ANY, NEUTRAL, 0, 0, 0, "1|1.0"},
    {"mirostat", ANY, NEUTRAL, 0, 0, 0, "0"},
    {"dry_multiplier", ANY, NEUTRAL, 0, 0, 0, "0|0.0"},
    {"xtc_probability", ANY, NEUTRAL, 0, 0, 0, "0|0.0"},
    {"n_predict", ANY, NEUTRAL, 0, 0, 0, ""},
    {"lora", ANY, NEUTRAL, 0, 0, 0, "[]"},
    {"priority", ANY, NEUTRAL, 0, 0, 0, "0"},
    {"function_call", ANY, NEUTRAL, 0, 0, 0, "\"none\"|\"auto\""},
    {"modalities", ANY, NEUTRAL, 0, 0, 0, "[\"text\"]"},
    {"guided_whitespace_pattern", ANY, NEUTRAL, 0, 0, 0, ""},
    {"early_stopping", ANY, NEUTRAL, 0, 0, 0, "false"},
    {"logprob_token_ids", ANY, NEUTRAL, 0, 0, 0, "[]"},
    {"kv_transfer_params", ANY, NEUTRAL, 0, 0, 0, "{}"},
    {"vllm_xargs", ANY, NEUTRAL, 0, 0, 0, "{}"},
    {"thinking_token_budget", ANY, NEUTRAL, 0, 0, 0, ""},
    {"return_token_offsets", ANY, NEUTRAL, 0, 0, 0, "false"},
    {"return_routed_experts", ANY, NEUTRAL, 0, 0, 0, "false"},
    {"routed_experts_prompt_start", ANY, NEUTRAL, 0, 0, 0, "0"},
    {"n_probs", ANY, NEUTRAL, 0, 0, 0, "0"},
    {"min_keep", ANY, NEUTRAL, 0, 0, 0, "0"},
    {"tfs_z", ANY, NEUTRAL, 0, 0, 0, "1|1.0"},
    {"top_n_sigma", ANY, NEUTRAL, 0, 0, 0, "-1|-1.0|0|0.0"},
    {"dynatemp_range", ANY, NEUTRAL, 0, 0, 0, "0|0.0"},
    {"t_max_predict_ms", ANY, NEUTRAL, 0, 0, 0, "0|-1"},
    {"samplers", ANY, NEUTRAL, 0, 0, 0, ""},
    {"documents", SL__CHAT, NEUTRAL, 0, 0, 0, "[]"},
    {"chat_template", SL__CHAT, NEUTRAL, 0, 0, 0, ""}, /* never from a request */
    {"reasoning_format", SL__CHAT, NEUTRAL, 0, 0, 0, "\"auto\"|\"deepseek\""},
    {"audio", SL__CHAT, NEUTRAL, 0, 0, 0, ""},
    {"return_prompt_text", SL__CHAT, NEUTRAL, 0, 0, 0, "false"},
};
enum { FIELD_COUNT = sizeof fields / sizeof fields[0] };

static const field *find(const char *name, sl__endpoint endpoint) {
    for (int i = 0; i < FIELD_COUNT; i++)
        if (fields[i].where & endpoint && !strcmp(fields[i].name, name)) return &fields[i];
    return NULL;
}

/* Is the value one of those that change nothing? Compared in jansson's compact spelling, without members that are null: typed
 * clients send {"type":"text","json_schema":null}. */
static bool is_neutral(const field *f, json_t *v) {
    char text[64];
    const char *key;
    json_t *member;
    void *next;
    json_object_foreach_safe(v, next, key, member)
        if (json_is_null(member)) json_object_del(v, key);
    size_t n = json_dumpb(v, text, sizeof text, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));
    if (n > sizeof text) return false;
    for (const char *p = f->neutral; *p;) {
        const char *end = strchrnul(p, '|');
        if ((size_t)(end - p) == n && !memcmp(p, text, n)) return true;
        p = *end ? end + 1 : end;
    }
    return false;
}

static sl_status read_one(const field *f, const sl_json *at, sl__fields *ret, sl_error *e) {
    void *to = (char *)ret + f->offset;
    switch (f->treatment) {
    case HONOURED_INT: {
        int64_t least = f->least <= -9.2e18 ? INT64_MIN : (int64_t)f->least;
        int64_t most = f->most >= 9.2e18 ? INT64_MAX : (int64_t)f->most;
        return sl_json_int(at, least, most, to, e);
    }
    case HONOURED_REAL: return sl_json_float(at, f->least, f->most, to, e);
    case HONOURED_BOOL: return sl_json_bool(at, to, e);
    case HONOURED_STRING: {
        return sl_json_string(at, to, NULL, e);
    }
    case NEUTRAL:
        if (!is_neutral(f, at->v)) return sl_json_fail(at, e, "is not supported here");
        return SL_OK;
    default: return SL_OK;
    }
}

static sl_status read_stop(const sl_json *body, sl_arena *arena, sl__fields *ret, sl_error *e) {
    sl_json at, item;
    if (!sl_json_get(body, "stop", &at)) return SL_OK;
    bool one = json_is_string(at.v);
    sl_status st = one ? SL_OK : sl_json_array(&at, SL_MAX_STOPS, e);
    if (st) return st;
    size_t count = one ? 1 : sl_json_size(&at);
    ret->stop = sl_arena_array(arena, SL_MEM_REQUEST, count + 1, sizeof *ret->stop);
    ret->stop_len = sl_arena_array(arena, SL_MEM_REQUEST, count + 1, sizeof *ret->stop_len);
    if (!ret->stop || !ret->stop_len) return sl_fail(e, SL_NOMEM, "out of memory");
    for (size_t i = 0; i < count; i++) {
        if (one) item = at;
        else if (!sl_json_at(&at, i, &item)) return sl_json_fail(&at, e, "must hold strings");
        const char *text;
        size_t len;
        st = sl_json_string(&item, &text, &len, e);
        if (st) return st;
        if (len == 0) continue; /* an empty stop stops nothing; some clients send "" for none */
        if (len > SL_MAX_STOP_BYTES) return sl_json_fail(&item, e, "must be at most %d bytes", SL_MAX_STOP_BYTES);
        ret->stop[ret->stops] = sl_arena_copy(arena, SL_MEM_REQUEST, text, len);
        if (!ret->stop[ret->stops]) return sl_fail(e, SL_NOMEM, "out of memory");
        ret->stop_len[ret->stops++] = len;
    }
    return SL_OK;
}

static sl_status read_stop_tokens(const sl_json *body, int vocab, sl_arena *arena, sl__fields *ret, sl_error *e) {
    sl_json at, item;
    if (!sl_json_get(body, "stop_token_ids", &at)) return SL_OK;
    sl_status st = sl_json_array(&at, SL_MAX_STOP_TOKENS, e);
    if (st) return st;
    size_t count = sl_json_size(&at);
    ret->stop_token = sl_arena_array(arena, SL_MEM_REQUEST, count + 1, sizeof *ret->stop_token);
    if (!ret->stop_token) return sl_fail(e, SL_NOMEM, "out of memory");
    for (size_t i = 0; i < count; i++) {
        int64_t id = 0;
        if (!sl_json_at(&at, i, &item)) return sl_json_fail(&at, e, "must hold token ids");
        st = sl_json_int(&item, 0, vocab - 1, &id, e);
        if (st) return st;
        ret->stop_token[ret->stop_tokens++] = (int32_t)id;
    }
    return SL_OK;
}

static sl_status read_bias(const sl_json *body, int vocab, sl_arena *arena, sl__fields *ret, sl_error *e) {
    sl_json at;
    if (!sl_json_get(body, "logit_bias", &at)) return SL_OK;
    sl_status st = sl_json_object(&at, e);
    if (st) return st;
    size_t count = sl_json_size(&at);
    if (count > (size_t)vocab) return sl_json_fail(&at, e, "has more entries than the vocabulary has tokens");
    ret->bias = sl_arena_array(arena, SL_MEM_REQUEST, count + 1, sizeof *ret->bias);
    if (!ret->bias) return sl_fail(e, SL_NOMEM, "out of memory");
    const char *key;
    json_t *value;
    json_object_foreach(at.v, key, value) {
        char *end;
        long id = strtol(key, &end, 10);
        if (key[0] < '0' || key[0] > '9' || *end || id >= vocab)
            return sl_fail_param(e, SL_INVALID, "logit_bias", "logit_bias: \"%.32s\" is no token id from 0 to %d", key, vocab - 1);
        sl_json item;
        double bias = 0;
        if (!sl_json_get(&at, key, &item)) continue;
        st = sl_json_float(&item, -100, 100, &bias, e);
        if (st) return st;
        ret->bias[ret->bias_count++] = (sl_logit_bias){(int32_t)id, (float)bias};
    }
    return SL_OK;
}

static sl_status read_stream_options(const sl_json *body, sl__fields *ret, sl_error *e) {
    sl_json at;
    if (!sl_json_get(body, "stream_options", &at)) return SL_OK;
    sl_status st = sl_json_object(&at, e);
    if (st) return st;
    if (!ret->stream) return sl_json_fail(&at, e, "is only allowed together with \"stream\": true");
    st = sl_json_opt_bool(&at, "include_usage", &ret->include_usage, e);
    if (!st) st = sl_json_opt_bool(&at, "continuous_usage_stats", &ret->continuous_usage, e);
    ret->continuous_usage = ret->continuous_usage && ret->include_usage;
    return st;
}

static sl_status read_salt(const sl_json *body, sl_arena *arena, sl__fields *ret, sl_error *e) {
    sl_json at;
    const char *text;
    if (!sl_json_get(body, "cache_salt", &at)) return SL_OK;
    sl_status st = sl_json_string(&at, &text, &ret->cache_salt_len, e);
    if (st) return st;
    if (ret->cache_salt_len == 0) return sl_json_fail(&at, e, "must not be empty"); /* no salt at all is what "" would be */
    ret->cache_salt = sl_arena_copy(arena, SL_MEM_REQUEST, text, ret->cache_salt_len);
    return ret->cache_salt ? SL_OK : sl_fail(e, SL_NOMEM, "out of memory");
}

void sl__fields_ignore(sl__fields *f, const char *name) {
    size_t used = strlen(f->ignored), len = strlen(name);
    for (const char *p = name; *p; p++) /* a header's value: plain characters only */
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.", *p)) return;
    if (used + len + 3 < sizeof f->ignored) snprintf(f->ignored + used, sizeof f->ignored - used, "%s%s", used ? ", " : "", name);
}

/* What the two endpoints call otherwise. */
static sl_status settle(sl__fields *f, sl__endpoint endpoint, sl_error *e) {
    bool chat = endpoint == SL__CHAT;
    if (f->max_completion_tokens >= 0 && (chat || f->max_tokens < 0)) f->max_tokens = f->max_completion_tokens;
    if (f->top_k < 0) f->top_k = 0;
    if (!chat) return SL_OK;
    if (f->top_logprobs > 0 && !f->chat_logprobs)
        return sl_fail_param(e, SL_INVALID, "top_logprobs", "top_logprobs: is only allowed together with \"logprobs\": true");
    if (f->chat_logprobs) f->logprobs = f->top_logprobs;
    return SL_OK;
}

sl_status sl__fields_read(const sl_json *body, sl__endpoint endpoint, int vocab, bool strict, sl_arena *arena, sl__fields *ret,
                          sl_error *e) {
    *ret = (sl__fields){.max_tokens = -1, .max_completion_tokens = -1, .n = 1, .logprobs = -1, .temperature = 1, .top_p = 1, .repetition = 1,
                        .skip_special = true, .add_special = endpoint == SL__COMPLETIONS, .include_reasoning = true};
    sl_status st = sl_json_object(body, e);
    if (st) return st;
    const char *key;
    json_t *value;
    json_object_foreach(body->v, key, value) {
        const field *f = find(key, endpoint);
        sl_json at;
        if (!f) {
            if (strict) return sl_fail_param(e, SL_INVALID, key, "unknown field \"%.64s\"", key);
            sl__fields_ignore(ret, key);
        } else if (sl_json_get(body, key, &at)) {
            st = read_one(f, &at, ret, e);
            if (st) return st;
            if (!strcmp(key, "seed")) ret->has_seed = ret->seed != -1;
            if (!strcmp(key, "max_tokens")) ret->unlimited = ret->max_tokens == -1;
        }
    }
    if ((st = read_stop(body, arena, ret, e)) || (st = read_stop_tokens(body, vocab, arena, ret, e)) ||
        (st = read_bias(body, vocab, arena, ret, e)) || (st = read_stream_options(body, ret, e)) ||
        (st = read_salt(body, arena, ret, e)))
        return st;
    int64_t best_of = ret->n;
    st = sl_json_opt_int(body, "best_of", 1, SL_MAX_CHOICES, &best_of, e);
    if (st) return st;
    if (best_of != ret->n) return sl_fail_param(e, SL_INVALID, "best_of", "best_of: only the value of n is supported");
    return settle(ret, endpoint, e);
}
