/* Stands in for libFuzzer in plain builds: runs the target on every file of the folder given, and on each of them cut
 * short at some places, and with some bytes changed. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void run(const uint8_t *data, size_t size) {
    uint8_t *exact = malloc(size ? size : 1); /* so that a sanitizer sees a read beyond the end */
    if (!exact) abort();
    memcpy(exact, data, size);
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
}

static void replay(uint8_t *data, size_t size) {
    run(data, size);
    size_t step = size / 40 + 1;
    for (size_t i = 0; i < size; i += step) {
        run(data, i);
        data[i] ^= 0xFF;
        run(data, size);
        data[i] ^= 0xFF;
    }
}

int main(int argc, char **argv) {
    DIR *folder = argc == 2 ? opendir(argv[1]) : NULL;
    if (!folder) {
        fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
        return 2;
    }
    int files = 0;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        char path[4096];
        if (entry->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "%s/%s", argv[1], entry->d_name);
        FILE *f = fopen(path, "rb");
        if (!f) return perror(path), 1;
        uint8_t *data = malloc(1 << 20);
        size_t size = data ? fread(data, 1, 1 << 20, f) : 0;
        fclose(f);
        if (data) replay(data, size);
        free(data);
        files++;
    }
    closedir(folder);
    printf("%d seeds\n", files);
    return files ? 0 : 1;
}
