/* load.h: a model and its tokenizer, opened together.
 * The main thread, before others start; const afterwards. */
#ifndef SL_CLI_LOAD_H
#define SL_CLI_LOAD_H

#include "base/error.h"
#include "model/model.h"
#include "text/tokenizer.h"

typedef struct sl_loaded {
    sl_model *model;
    sl_tokenizer *tokenizer;
} sl_loaded;

sl_status sl_load(const char *path, sl_loaded *ret, sl_error *e);
void sl_unload(sl_loaded *l);

#endif
