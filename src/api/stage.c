#include "api/stage.h"

/* A cell: what is told, and the stage after it. */
#define NEVER {SL__STAGES, SL__TELL_NOTHING}
#define TO(stage) {SL__##stage, SL__TELL_NOTHING}
#define ERROR {SL__TOLD, SL__TELL_ERROR}
#define WHOLE {SL__TOLD, SL__TELL_WHOLE}
#define HEAD {SL__TELLING, SL__TELL_HEAD}
#define MORE {SL__TELLING, SL__TELL_MORE}

/* clang-format off */
static const sl__step table[SL__STAGES][SL__TURNS] = {
    /*               TO_TEXT      TO_ENGINE  NEWS      WHOLE     FAILURE   DEADLINE  SILENCE      HANG_UP   HTTP_OVER */
    [SL__NEW]     = {TO(READING), TO(ASKED), NEVER,    NEVER,    ERROR,    ERROR,    NEVER,       NEVER,    NEVER},
    [SL__READING] = {NEVER,       TO(ASKED), NEVER,    NEVER,    ERROR,    ERROR,    TO(READING), TO(GONE), TO(OVER)},
    [SL__ASKED]   = {NEVER,       NEVER,     HEAD,     WHOLE,    ERROR,    ERROR,    HEAD,        TO(GONE), TO(OVER)},
    [SL__TELLING] = {NEVER,       NEVER,     MORE,     NEVER,    MORE,     MORE,     MORE,        TO(GONE), TO(OVER)},
    [SL__TOLD]    = {NEVER,       NEVER,     TO(TOLD), TO(TOLD), TO(TOLD), TO(TOLD), TO(TOLD),    TO(GONE), TO(OVER)},
    [SL__GONE]    = {NEVER,       NEVER,     TO(GONE), TO(GONE), TO(GONE), TO(GONE), TO(GONE),    TO(GONE), TO(OVER)},
    [SL__OVER]    = {NEVER,       NEVER,     TO(OVER), TO(OVER), TO(OVER), TO(OVER), TO(OVER),    NEVER,    NEVER},
};
/* clang-format on */

sl__step sl__stage_step(sl__stage from, sl__turn what) { return table[from][what]; }
