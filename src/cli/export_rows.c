/* What row ids stand for; see export.h. A file of texts is mapped, so only what is asked for is read. */
#include "cli/export.h"

#include "base/alloc.h"
#include "store/claim.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static trm_status map(const char *path, trm_texts *texts, trm_error *err)
{
    struct stat about;
    const int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not make it wait */
    if (file < 0 || fstat(file, &about) != 0) {
        const int number = errno;
        if (file >= 0)
            close(file);
        return trm_fail(err, trm_status_of_errno(number), "texts '%s': %s", path, strerror(number));
    }
    texts->size = S_ISREG(about.st_mode) ? (int64_t)about.st_size : -1;
    void *bytes = texts->size > 0 ? mmap(NULL, (size_t)texts->size, PROT_READ, MAP_PRIVATE, file, 0) : NULL;
    close(file);
    if (texts->size <= 0)
        return trm_fail(err, TRM_ERR_DATA, "texts '%s': %s", path,
                        texts->size < 0 ? "is no regular file" : "is empty");
    if (bytes == MAP_FAILED)
        return trm_fail(err, TRM_ERR_IO, "texts '%s': can't be mapped: %s", path, strerror(errno));
    texts->bytes = bytes;
    return TRM_OK;
}

/* Lines end with a line feed, which the last may lack. */
static int64_t find_lines(const trm_texts *texts, int64_t *start)
{
    int64_t lines = 0;
    for (int64_t at = 0; at < texts->size;) {
        const char *end = memchr(texts->bytes + at, '\n', (size_t)(texts->size - at));
        if (start != NULL)
            start[lines] = at;
        lines++;
        at = end == NULL ? texts->size : end - texts->bytes + 1;
    }
    if (start != NULL)
        start[lines] = texts->size;
    return lines;
}

trm_status trm_texts_open(const char *path, int64_t rows, trm_texts *texts, trm_error *err)
{
    *texts = (trm_texts){.path = path, .json = trm_path_ends(path, ".jsonl") || trm_path_ends(path, ".json")};
    trm_status status = map(path, texts, err);
    if (status != TRM_OK)
        return status;
    texts->rows = find_lines(texts, NULL);
    if (rows >= 0 && texts->rows != rows)
        return trm_fail(err, TRM_ERR_DATA, "texts '%s': has %" PRId64 " lines, there are %" PRId64 " rows",
                        path, texts->rows, rows);
    texts->start = trm_alloc(texts->rows + 1, sizeof *texts->start);
    if (texts->start == NULL)
        return trm_fail_memory(err, "lines of texts", texts->rows + 1, sizeof *texts->start);
    find_lines(texts, texts->start);
    return TRM_OK;
}

void trm_texts_close(trm_texts *texts)
{
    if (texts->bytes != NULL)
        munmap(texts->bytes, (size_t)texts->size);
    trm_free(texts->start);
    *texts = (trm_texts){.path = NULL};
}

void trm_export_rows_free(trm_export_rows *rows)
{
    trm_texts_close(&rows->texts);
    trm_free(rows->id);
    trm_free(rows->label);
    *rows = (trm_export_rows){.rows = -1};
}

const trm_export_rows *trm_export_rows_of(const trm_export *export, const char *column)
{
    static const char *const of_askers[] = {"anchor", "a"}, *const of_store[] = {"positive", "negative",
                                                                                 "neighbors", "b", "row"};
    for (size_t i = 0; i < sizeof of_askers / sizeof *of_askers; i++)
        if (strcmp(column, of_askers[i]) == 0)
            return export->two_sets ? &export->askers : &export->base;
    for (size_t i = 0; i < sizeof of_store / sizeof *of_store; i++)
        if (strcmp(column, of_store[i]) == 0)
            return &export->base;
    return NULL;
}
