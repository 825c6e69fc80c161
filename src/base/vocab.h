/* vocab.h: a vocabulary as a model's files have it: what model/ reads and text/ makes a tokenizer from.
 * Filled by one thread, const afterwards; texts and arrays are borrowed from whoever filled it and have to stay until the
 * tokenizer is open, which copies what it needs.
 *
 * Two forms: GGUF's arrays (model is not NULL) or the JSON files of a Hugging Face folder. It lies in base/ because
 * neither of the two folders may know the other. */
#ifndef SL_BASE_VOCAB_H
#define SL_BASE_VOCAB_H

#include <stddef.h>
#include <stdint.h>

typedef enum sl_token_type { /* GGUF's numbers */
    SL_TOKEN_UNTYPED = 0,    /* the file does not say */
    SL_TOKEN_NORMAL = 1,
    SL_TOKEN_UNKNOWN = 2,
    SL_TOKEN_CONTROL = 3,
    SL_TOKEN_USER = 4, /* user-defined: matched as a whole, shown as it stands */
    SL_TOKEN_UNUSED = 5,
    SL_TOKEN_BYTE = 6,
} sl_token_type;

typedef struct sl_vocab_token {
    const char *text;
    uint32_t len;
    float score;  /* SentencePiece's; higher merges first */
    int32_t type; /* sl_token_type */
} sl_vocab_token;

typedef struct sl_vocab_merge {
    const char *text; /* "left right" */
    uint32_t len;
} sl_vocab_merge;

typedef struct sl_vocab_source {
    /* GGUF's tokenizer.ggml.* */
    const char *model, *pre;      /* "gpt2" or "llama", NULL: a folder; pre-tokenizer's name, "" if absent */
    const sl_vocab_token *tokens; /* [count] */
    int count;
    const sl_vocab_merge *merges; /* [merge_count] */
    int merge_count;
    int bos, eos, unk, eot, eom, pad;       /* -1: absent */
    const int32_t *ends;                    /* [end_count] tokens that end an answer too, each below count */
    int end_count;
    int add_bos, add_eos, add_space_prefix; /* 0, 1; -1: absent, the kind's default */
    const char *chat_template;              /* NULL: none */
    /* A folder's files, NULL if absent. */
    const char *tokenizer_json, *tokenizer_config_json, *generation_config_json, *config_json;
    size_t tokenizer_json_len, tokenizer_config_json_len, generation_config_json_len, config_json_len;
    /* Both. */
    const char *origin; /* path for messages */
    int rows;           /* of the model's embedding: a token at or above it cannot be in a prompt; 0: not known */
} sl_vocab_source;

#endif
