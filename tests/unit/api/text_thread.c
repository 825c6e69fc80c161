#include "served.h"

#include <semaphore.h>

/* The text thread: order, interruptions, cancelling, bounds. Jobs note when they ran. */

typedef struct note {
    sl__job job; /* first */
    int name;
    bool ran, came_back;
    int pauses; /* how often it lets others pass */
} note;

static served s;
static int order[64];
static atomic_int ran;
static int back;
static sem_t begun, go;

static void run(sl__job *job) {
    note *n = (note *)job;
    n->ran = true;
    for (int i = 0; i < n->pauses; i++) {
        sem_post(&begun);
        sem_wait(&go);
        if (!sl__text_pause(s.api)) return;
    }
    order[atomic_fetch_add(&ran, 1)] = n->name;
}

static void came_back(sl__job *job) {
    ((note *)job)->came_back = true;
    back++;
}

static note make_note(int name, size_t bytes, int pauses) {
    return (note){.job = {.run = run, .back = came_back, .bytes = bytes}, .name = name, .pauses = pauses};
}

static void submit(note *n) {
    sl_error e;
    ck_assert_msg(sl__text_submit(s.api, &n->job, &e) == SL_OK, "%s", e.message);
}

static void until_back(int count) {
    while (back < count) uv_run(&s.loop, UV_RUN_ONCE);
}

static void setup(void) {
    serve(&s, "gpt2");
    back = 0;
    atomic_store(&ran, 0);
    sem_init(&begun, 0, 0);
    sem_init(&go, 0, 0);
}

#define MB ((size_t)1 << 20)
#define TEXT_BYTES (sl__api_bounds(s.api).texts)

/* While the first runs, a long one and short ones come: the short ones pass, the long one is not forgotten. */
START_TEST(short_texts_pass_long_ones) {
    setup();
    note first = make_note(0, 10, 1), longer = make_note(1, 4 * MB, 0), shorter[2] = {make_note(2, MB, 0), make_note(3, 5000, 0)};
    submit(&first);
    sem_wait(&begun);
    submit(&longer);
    submit(&shorter[0]);
    submit(&shorter[1]);
    sem_post(&go);
    until_back(4);
    int want[] = {0, 3, 2, 1};
    for (int i = 0; i < 4; i++) ck_assert_int_eq(order[i], want[i]);
    unserve(&s);
}
END_TEST

/* A short one runs inside a long one that lets it pass; one that is as long waits. */
START_TEST(a_long_text_is_interrupted) {
    setup();
    note longer = make_note(0, 4 * MB, 2), shorter = make_note(1, 6000, 0), twin = make_note(2, 4 * MB, 0);
    submit(&longer);
    sem_wait(&begun);
    submit(&twin);
    submit(&shorter);
    sem_post(&go);
    sem_wait(&begun); /* its second pause: the short one has run in the first */
    until_back(1);
    ck_assert(shorter.came_back && !longer.came_back);
    sem_post(&go);
    until_back(3);
    int want[] = {1, 0, 2};
    for (int i = 0; i < 3; i++) ck_assert_int_eq(order[i], want[i]);
    unserve(&s);
}
END_TEST

START_TEST(a_client_that_is_gone_costs_nothing) {
    setup();
    note first = make_note(0, MB, 9), waits = make_note(1, MB, 0);
    submit(&first);
    sem_wait(&begun);
    submit(&waits);
    atomic_store(&waits.job.cancelled, true);
    atomic_store(&first.job.cancelled, true);
    sem_post(&go); /* ends at its first pause, not at the ninth */
    until_back(2);
    ck_assert_int_eq(atomic_load(&ran), 0);
    ck_assert(!waits.ran && waits.came_back && first.came_back);
    unserve(&s);
}
END_TEST

/* Promise 4 */
START_TEST(bytes_and_jobs_are_bounded) {
    setup();
    static note many[SL_TEXT_QUEUE + 1];
    sl_error e;
    note first = make_note(0, 1, 1), large = make_note(1, TEXT_BYTES, 0), small = make_note(2, TEXT_BYTES - 2, 0);
    submit(&first);
    sem_wait(&begun);
    ck_assert_int_eq(sl__text_submit(s.api, &large.job, &e), SL_FULL);
    submit(&small);
    ck_assert_int_eq(sl__text_submit(s.api, &large.job, &e), SL_FULL);
    int taken = 2;
    for (int i = 0; i <= SL_TEXT_QUEUE; i++) {
        many[i] = make_note(i, 0, 0);
        many[i].job.run = NULL; /* cancelled before it runs */
        atomic_store(&many[i].job.cancelled, true);
        if (sl__text_submit(s.api, &many[i].job, &e) == SL_OK) taken++;
        else ck_assert_int_eq(e.code, SL_FULL);
    }
    ck_assert_int_eq(taken, SL_TEXT_QUEUE);
    sem_post(&go);
    until_back(taken);
    ck_assert_int_eq(s.api->text_jobs, 0);
    ck_assert_uint_eq(s.api->text_bytes, 0);
    submit(&large); /* one alone may be as large as it is */
    until_back(taken + 1);
    unserve(&s);
}
END_TEST

int main(void) {
    return RUN_TESTS("api/text_thread", 60, short_texts_pass_long_ones, a_long_text_is_interrupted, a_client_that_is_gone_costs_nothing,
                     bytes_and_jobs_are_bounded);
}
