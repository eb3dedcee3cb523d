/* --ignore-label, and what the labels of a store may say about it; see work.h. */
#include "cli/work.h"

#include "base/alloc.h"
#include "par/agree.h"
#include "rows/rows.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* "'ant', 'bee', ...": the first labels of a store that has names, for those who spelled one wrong. */
static const char *some_names(const trm_labels *labels, char *text, size_t size)
{
    enum { SHOWN = 5 };
    char one[TRM_LABEL_TEXT];
    size_t used = (size_t)snprintf(text, size, "%s", labels->names.count > 0 ? "; they are " : "");
    for (int64_t i = 0; i < labels->names.count && used < size; i++) {
        used += (size_t)snprintf(text + used, size - used, "%s%s", i > 0 ? ", " : "",
                                 i < SHOWN ? trm_labels_text(labels, i, one) : "...");
        if (i == SHOWN)
            break;
    }
    return text;
}

static void warn_unknown(const trm_labels *labels, const char *word)
{
    enum { SOME = 480 };
    char some[SOME];
    trm_warn("--ignore-label '%s': no row of the store has this label%s", word,
             some_names(labels, some, sizeof some));
}

/* How many rows of all ranks have each of the labels. */
static void count_rows(const trm_work *work, int64_t labels, const int64_t *label, int64_t *rows)
{
    for (int64_t i = 0; i < work->batch.count; i++)
        for (int64_t k = 0; k < labels; k++)
            rows[k] += work->batch.labels[i] == label[k];
    if (labels > 0)
        MPI_Allreduce(MPI_IN_PLACE, rows, (int)labels, MPI_INT64_T, MPI_SUM, work->comm);
}

trm_status trm_work_ignored(trm_work *work, int64_t *count, int64_t **label, trm_error *err)
{
    const trm_cli *cli = work->cli;
    int64_t *rows = trm_alloc_zero(cli->ignore.count, sizeof *rows);
    const char **word = trm_alloc(cli->ignore.count, sizeof *word);
    trm_status status = TRM_OK;
    *count = 0;
    *label = trm_alloc(cli->ignore.count, sizeof **label);
    if (*label == NULL || rows == NULL || word == NULL)
        status = trm_fail_memory(err, "labels to ignore", cli->ignore.count, sizeof **label);
    for (int i = 0; i < cli->ignore.count && status == TRM_OK; i++) {
        bool known = false;
        word[*count] = cli->ignore.text[i];
        status = trm_labels_parse(&work->labels, cli->ignore.text[i], &(*label)[*count], &known, err);
        if (status == TRM_OK && !known && work->rank == 0)
            warn_unknown(&work->labels, cli->ignore.text[i]);
        *count += known && status == TRM_OK;
    }
    status = trm_agree(work->comm, status, err);
    if (status == TRM_OK)
        count_rows(work, *count, *label, rows);
    for (int64_t k = 0; k < *count && status == TRM_OK && work->rank == 0; k++)
        if (rows[k] == 0)
            warn_unknown(&work->labels, word[k]);
    trm_free(rows);
    trm_free(word);
    return status;
}

void trm_work_check_classes(const trm_work *work)
{
    char text[TRM_LABEL_TEXT];
    const trm_rows *rows = work->rows;
    int64_t size = 0, most = 0, label = 0;
    for (int64_t i = 0; i < rows->count; i++)
        if (rows->class_size[i] > size) {
            size = rows->class_size[i];
            label = rows->label[i];
        }
    MPI_Allreduce(&size, &most, 1, MPI_INT64_T, MPI_MAX, work->comm);
    int holder = size == most ? work->rank : work->ranks;
    MPI_Allreduce(MPI_IN_PLACE, &holder, 1, MPI_INT, MPI_MIN, work->comm);
    MPI_Bcast(&label, 1, MPI_INT64_T, holder, work->comm);
    if (work->rank == 0)
        trm_warn_of_class(most, rows->total, trm_labels_text(&work->labels, label, text));
}

const trm_names *trm_work_names(const trm_work *work)
{
    return work->labels.kind == TRM_LABELS_NAMED ? &work->labels.names : NULL;
}

/* ---- what stores are warned of, here and by info ---- */

void trm_warn_of_class(int64_t size, int64_t rows, const char *label)
{
    if (rows > 1 && 10 * size > 9 * rows)
        trm_warn("class %s holds %" PRId64 " of %" PRId64 " rows%s", label, size, rows,
                 size == rows ? ", all of them: were the labels ever written?" : ": are the labels right?");
}

void trm_warn_of_files(const trm_store *store)
{
    for (int i = 0; i < trm_store_file_count(store); i++) {
        const trm_store_file *file = trm_store_file_at(store, i);
        if (file->same_as >= 0)
            trm_warn("store '%s': the same file as '%s': its rows are there twice", file->path,
                     trm_store_file_at(store, (int)file->same_as)->path);
    }
}

void trm_warn_of_zero_rows(const trm_store *store, int64_t zero, int64_t first, int64_t rows)
{
    if (zero == 0 || zero <= rows / 100)
        return;
    const trm_store_file *file = trm_file_of_row(store, first);
    trm_warn("store '%s': %" PRId64 " of %" PRId64 " rows are all zero, the first is row %" PRId64
             " of dataset '%s'; was the store filled?",
             file->path, zero, rows, first - file->first, file->embeddings);
}
