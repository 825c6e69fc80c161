/* run.h: runs the tests of one program. Include it last. */
#ifndef SL_TESTS_RUN_H
#define SL_TESTS_RUN_H

#include <check.h>
#include <stdlib.h>

/* A sanitizer looks at how the code runs, and makes that several times as slow. A test that has many like cases, whose results the
 * plain builds compare, takes one in FEWER of them. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define FEWER 2
#endif
#endif
#ifndef FEWER
#define FEWER 1
#endif

#define RUN_TESTS(name, seconds, ...)                                                                                  \
    run_tests(name, seconds, (const TTest *const[]){__VA_ARGS__},                                                      \
              sizeof(const TTest *const[]){__VA_ARGS__} / sizeof(const TTest *))

static inline int run_tests(const char *name, double seconds, const TTest *const *tests, size_t count) {
    Suite *suite = suite_create(name);
    TCase *tcase = tcase_create(name);
    tcase_set_timeout(tcase, seconds);
    for (size_t i = 0; i < count; i++) tcase_add_test(tcase, tests[i]);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
