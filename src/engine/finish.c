#include "engine/finish.h"

const char *const sl_finish_names[SL_FINISH_COUNT] = {
#define X(symbol, name) [SL_FINISH_##symbol] = name,
    SL_FINISH_LIST(X)
#undef X
};
