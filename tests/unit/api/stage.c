#include "api/stage.h"

#include "../run.h"

#include <stdbool.h>

/* The table of stages: whatever happens in whatever order, a client gets one head, and nobody who is gone is told anything. */

typedef struct seen {
    int heads;    /* an error, a whole answer, a stream's head */
    bool stream;  /* the head was a stream's */
} seen;

static long walks;

static bool one_head(sl__tell tell) { return tell == SL__TELL_ERROR || tell == SL__TELL_WHOLE || tell == SL__TELL_HEAD; }

/* Every order of events that can happen, `left` more of them. */
static void walk(sl__stage at, seen s, int left) {
    walks++;
    if (!left) return;
    for (int what = 0; what < SL__TURNS; what++) {
        sl__step step = sl__stage_step(at, (sl__turn)what);
        if (step.to == SL__STAGES) {
            ck_assert(step.tell == SL__TELL_NOTHING);
            continue;
        }
        seen then = s;
        then.heads += one_head(step.tell);
        then.stream = then.stream || step.tell == SL__TELL_HEAD;
        ck_assert_int_le(then.heads, 1);
        if (at == SL__GONE || at == SL__OVER) ck_assert(step.tell == SL__TELL_NOTHING);
        if (step.tell == SL__TELL_MORE) ck_assert(then.stream);
        if (at == SL__OVER) ck_assert(step.to == SL__OVER);
        if (at == SL__GONE) ck_assert(step.to == SL__GONE || step.to == SL__OVER);
        if (what == SL__HTTP_OVER) ck_assert(step.to == SL__OVER);
        if (what == SL__HANG_UP) ck_assert(step.to == SL__GONE);
        if ((what == SL__FAILURE || what == SL__DEADLINE) && at < SL__TELLING) ck_assert(step.tell == SL__TELL_ERROR);
        if ((what == SL__FAILURE || what == SL__DEADLINE) && at == SL__TELLING) ck_assert(step.tell == SL__TELL_MORE);
        if (step.to == SL__TELLING || step.to == SL__TOLD) ck_assert(then.heads == 1);
        if (step.to < SL__TELLING) ck_assert(then.heads == 0);
        walk(step.to, then, left - 1);
    }
}

START_TEST(events_in_every_order) { /* Promise 3: an accepted request ends in exactly one way */
    walk(SL__NEW, (seen){0}, 7);
    ck_assert_int_gt(walks, 100000);
}
END_TEST

static void leads(const sl__turn *what, int count, sl__stage to, sl__tell last) {
    sl__stage at = SL__NEW;
    sl__step step = {SL__NEW, SL__TELL_NOTHING};
    for (int i = 0; i < count; i++) {
        step = sl__stage_step(at, what[i]);
        ck_assert_int_ne(step.to, SL__STAGES);
        at = step.to;
    }
    ck_assert_int_eq(at, to);
    ck_assert_int_eq(step.tell, last);
}
#define LEADS(to, last, ...) \
    leads((const sl__turn[]){__VA_ARGS__}, sizeof(const sl__turn[]){__VA_ARGS__} / sizeof(sl__turn), to, last)

START_TEST(lives) {
    LEADS(SL__TOLD, SL__TELL_ERROR, SL__FAILURE);                                                   /* refused at once */
    LEADS(SL__OVER, SL__TELL_NOTHING, SL__FAILURE, SL__HTTP_OVER);
    LEADS(SL__TOLD, SL__TELL_WHOLE, SL__TO_ENGINE, SL__WHOLE);                                      /* a plain answer */
    LEADS(SL__TOLD, SL__TELL_WHOLE, SL__TO_TEXT, SL__TO_ENGINE, SL__WHOLE);                         /* of a long prompt */
    LEADS(SL__TELLING, SL__TELL_HEAD, SL__TO_ENGINE, SL__NEWS);                                     /* a stream */
    LEADS(SL__TELLING, SL__TELL_MORE, SL__TO_ENGINE, SL__SILENCE, SL__NEWS);                        /* that waited for its first token */
    LEADS(SL__TELLING, SL__TELL_MORE, SL__TO_ENGINE, SL__NEWS, SL__DEADLINE);                       /* that took too long */
    LEADS(SL__TOLD, SL__TELL_NOTHING, SL__TO_ENGINE, SL__DEADLINE, SL__NEWS);                       /* it still has events */
    LEADS(SL__TOLD, SL__TELL_NOTHING, SL__TO_TEXT, SL__DEADLINE, SL__FAILURE);                      /* back after the deadline */
    LEADS(SL__GONE, SL__TELL_NOTHING, SL__TO_ENGINE, SL__NEWS, SL__HANG_UP, SL__NEWS, SL__DEADLINE); /* nobody listens */
    LEADS(SL__OVER, SL__TELL_NOTHING, SL__TO_TEXT, SL__HANG_UP, SL__HTTP_OVER, SL__FAILURE);
}
END_TEST

/* What would be our own mistake has no cell. */
START_TEST(what_cannot_happen) {
    static const struct {
        sl__stage at;
        sl__turn what;
    } never[] = {{SL__NEW, SL__NEWS}, {SL__READING, SL__TO_TEXT}, {SL__READING, SL__WHOLE}, {SL__TELLING, SL__WHOLE},
                 {SL__TOLD, SL__TO_ENGINE}, {SL__GONE, SL__TO_ENGINE}, {SL__OVER, SL__HTTP_OVER}, {SL__OVER, SL__HANG_UP}};
    for (size_t i = 0; i < sizeof never / sizeof *never; i++) ck_assert_int_eq(sl__stage_step(never[i].at, never[i].what).to, SL__STAGES);
}
END_TEST

int main(void) { return RUN_TESTS("api/stage", 30, events_in_every_order, lives, what_cannot_happen); }
