/* config.h: what the API is told when it starts, and what it may take of memory.
 * Constant once filled; any thread. Strings, tokenizer and metrics must outlive the sl_api. */
#ifndef SL_API_CONFIG_H
#define SL_API_CONFIG_H

#include "base/json.h"
#include "metrics/metrics.h"
#include "template/template.h"
#include "text/tokenizer.h"

#include <stdbool.h>
#include <stdint.h>

/* What the API says of the model that is served. */
typedef struct sl_api_model {
    const char *name, *family, *type;
    int layers, experts, experts_per_token;
    int vocab; /* token ids are below it */
    uint64_t parameters, active_parameters;
} sl_api_model;

typedef struct sl_api_config {
    const char *model_names; /* NAME[,ALIAS…]; "": the model's own name */
    bool strict;             /* unknown request fields are a 400 */
    int request_timeout;     /* seconds; 0: none */
    int stuck_seconds;       /* /livez fails after so long without progress while there is work */
    uint64_t memory;         /* bytes that texts, documents, renderings and answers may take together; 0: 320 MiB */
    int ping_seconds;        /* silence before a stream gets a comment; 0: never */
    sl_api_model model;
    const sl_tokenizer *tokenizer;
    const sl_template *chat_template; /* NULL: the model has none, and /v1/chat/completions says so */
    const char *chat_why;             /* the model has one that cannot be used: why; NULL or "" otherwise */
    /* An object of texts that the template reads beside messages, "bos_token" and its like; copied by sl_api_start. NULL: the
     * tokenizer's. */
    const json_t *chat_variables;
    sl_metrics *metrics;
    /* POST /drain: loop thread; the owner calls sl_api_leave and later sl_api_drain. Returns whether new work is still taken.
     * NULL: there is no such thing, 501. */
    bool (*drain)(void *arg);
    void *drain_arg;
} sl_api_config;

/* The most that the API takes beside http's bodies, in bytes, as parts of config.memory: for the plan. Kept by refusing. */
typedef struct sl_api_plan {
    uint64_t texts;     /* bodies and prompts that the text thread has; 429 beyond, but one alone may be larger */
    uint64_t document;  /* one body as JSON, while it is read; 413 beyond */
    uint64_t answers;   /* that are put together, with the prompts that they show; 429 beyond */
    uint64_t rendering; /* one conversation that the chat template makes a prompt of; 400 beyond */
    uint64_t total;     /* with two documents and two renderings: the text thread's, and those that interrupt it */
} sl_api_plan;
sl_api_plan sl_api_plan_for(uint64_t memory);

#endif
