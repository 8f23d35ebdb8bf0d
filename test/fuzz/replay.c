/*
 * Runs one fuzz target on every file of the directories that are given: the
 * corpus and the kept regressions as a plain test, with any compiler.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define INPUT_MAX (1 << 20)

static int run_file(const char *directory, const char *name)
{
    char path[4096];

    snprintf(path, sizeof(path), "%s/%s", directory, name);
    FILE *file = fopen(path, "rb");
    uint8_t *data = malloc(INPUT_MAX);
    if (!file || !data) {
        perror(path);
        exit(1);
    }
    size_t n = fread(data, 1, INPUT_MAX, file);
    fclose(file);
    /* An exact block, so that a read past the input is seen. */
    uint8_t *exact = realloc(data, n ? n : 1);
    LLVMFuzzerTestOneInput(exact ? exact : data, n);
    free(exact ? exact : data);
    return 1;
}

static int run_directory(const char *directory)
{
    DIR *dir = opendir(directory);
    const struct dirent *entry;
    int files = 0;

    if (!dir) {
        perror(directory);
        exit(1);
    }
    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] != '.')
            files += run_file(directory, entry->d_name);
    }
    closedir(dir);
    return files;
}

int main(int argc, char **argv)
{
    int files = 0;

    for (int i = 1; i < argc; i++)
        files += run_directory(argv[i]);
    printf("%d inputs\n", files);
    return files > 0 ? 0 : 1;
}
