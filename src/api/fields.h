/* fields.h: the fields of a request to generate: one table says which are honoured, harmless, or known and refused.
 * Loop or text thread; pure. */
#ifndef SL_API_FIELDS_H
#define SL_API_FIELDS_H

#include "base/arena.h"
#include "base/json.h"
#include "engine/request.h"

#include <stdbool.h>
#include <stdint.h>

typedef enum sl__endpoint { SL__COMPLETIONS = 1, SL__CHAT = 2 } sl__endpoint; /* where a field is known */

/* What the fields say, checked and with defaults; prompts and messages apart. Arrays, stop strings and the salt lie in the arena
 * that was given, the model's name in the body. */
typedef struct sl__fields {
    const char *model; /* NULL: the served one */
    int64_t max_tokens, max_completion_tokens; /* -1: not said, or sent; the first is what counts, whichever was sent */
    bool unlimited;                            /* max_tokens was sent as -1 */
    int64_t min_tokens, top_k, seed, n;
    int64_t logprobs, top_logprobs; /* the first is what counts: alternatives a token, -1: none asked for */
    bool chat_logprobs;             /* chat's way to ask */
    bool has_seed; /* one that is to be kept: -1 is none */
    double temperature, top_p, min_p, presence, frequency, repetition;
    bool echo, stream, ignore_eos, include_stop, skip_special, add_special, return_ids, ids_as_tokens;
    bool include_usage, continuous_usage, include_reasoning;
    const char **stop;
    size_t *stop_len;
    int stops;
    int32_t *stop_token;
    int stop_tokens;
    int added_stops; /* of them, the last ones: the client did not ask for these */
    sl_logit_bias *bias;
    int bias_count;
    const char *cache_salt; /* NULL: none was sent */
    size_t cache_salt_len;
    char ignored[256]; /* names of unknown fields, for x-sluice-ignored; "" if none */
} sl__fields;

/* vocab: token ids must be below it. strict: unknown fields are errors. */
sl_status sl__fields_read(const sl_json *body, sl__endpoint endpoint, int vocab, bool strict, sl_arena *arena, sl__fields *ret,
                          sl_error *e);
/* Lists a name that has no effect, for x-sluice-ignored. */
void sl__fields_ignore(sl__fields *f, const char *name);

#endif
