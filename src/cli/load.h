/* load.h: a model and its tokenizer, opened together.
 * Any one thread; const afterwards. */
#ifndef SL_CLI_LOAD_H
#define SL_CLI_LOAD_H

#include "base/error.h"
#include "model/model.h"
#include "text/tokenizer.h"

typedef struct sl_loaded {
    sl_model *model;
    sl_tokenizer *tokenizer;
} sl_loaded;

/* tell(arg, "opening the model") before each step, if it is not NULL; the texts are constant. */
sl_status sl_load_told(const char *path, void (*tell)(void *arg, const char *doing), void *arg, sl_loaded *ret, sl_error *e);
sl_status sl_load(const char *path, sl_loaded *ret, sl_error *e);
void sl_unload(sl_loaded *l);

/* Calls show with each warning about the model and its tokenizer; either may be NULL. */
void sl_loaded_notes(const sl_loaded *l, void (*show)(void *arg, const char *text), void *arg);
/* The same, to stderr, as `sluice COMMAND: warning: …`. */
void sl_loaded_warn(const sl_loaded *l, const char *command);

#endif
