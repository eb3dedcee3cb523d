/* --ignore-label, and what the labels of a store may say about it; see inner.h. */
#include "job/inner.h"

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

static void warn_unknown(trm_job *job, const char *word)
{
    enum { SOME = 480 };
    char some[SOME];
    trm_warn(&job->voice, "--ignore-label '%s': no row of the store has this label%s", word,
             some_names(&job->labels, some, sizeof some));
}

/* How many rows of both sets, on all ranks, have each of the labels. */
static void count_rows(const trm_job *job, int64_t labels, const int64_t *label, int64_t *rows)
{
    const trm_batch *const sets[] = {&job->base.batch, &job->queries.batch};
    for (size_t set = 0; set < sizeof sets / sizeof *sets; set++)
        for (int64_t i = 0; i < sets[set]->count; i++)
            for (int64_t k = 0; k < labels; k++)
                rows[k] += sets[set]->labels[i] == label[k];
    if (labels > 0)
        MPI_Allreduce(MPI_IN_PLACE, rows, (int)labels, MPI_INT64_T, MPI_SUM, job->comm);
}

trm_status trm_job_ignored(trm_job *job, int64_t *count, int64_t **label, trm_error *err)
{
    const trm_settings *settings = &job->settings;
    int64_t *rows = trm_alloc_zero(settings->ignore.count, sizeof *rows);
    const char **word = trm_alloc(settings->ignore.count, sizeof *word);
    trm_status status = TRM_OK;
    *count = 0;
    *label = trm_alloc(settings->ignore.count, sizeof **label);
    if (*label == NULL || rows == NULL || word == NULL)
        status = trm_fail_memory(err, "labels to ignore", settings->ignore.count, sizeof **label);
    for (int i = 0; i < settings->ignore.count && status == TRM_OK; i++) {
        bool known = false;
        word[*count] = settings->ignore.text[i];
        status = trm_labels_parse(&job->labels, settings->ignore.text[i], &(*label)[*count], &known, err);
        if (status == TRM_OK && !known && job->rank == 0)
            warn_unknown(job, settings->ignore.text[i]);
        *count += known && status == TRM_OK;
    }
    status = trm_agree(job->comm, status, err);
    if (status == TRM_OK)
        count_rows(job, *count, *label, rows);
    for (int64_t k = 0; k < *count && status == TRM_OK && job->rank == 0; k++)
        if (rows[k] == 0)
            warn_unknown(job, word[k]);
    trm_free(rows);
    trm_free(word);
    return status;
}

/* The name without blanks at its ends. */
static const char *trimmed(const char *name, int64_t *length)
{
    static const char blanks[] = " \t\r";
    while (*length > 0 && memchr(blanks, name[*length - 1], sizeof blanks - 1) != NULL)
        --*length;
    for (; *length > 0 && memchr(blanks, *name, sizeof blanks - 1) != NULL; name++)
        --*length;
    return name;
}

/* Names that are others with a blank too many: most likely one class was meant. */
static void warn_of_blanks(trm_job *job)
{
    char text[TRM_LABEL_TEXT], twin_text[TRM_LABEL_TEXT], more[64] = "";
    const trm_names *names = &job->labels.names;
    int64_t pairs = 0, name = 0, twin = 0;
    for (int64_t i = 0; i < names->count; i++) {
        int64_t length = 0, whole;
        const char *bytes = trm_names_get(names, i, &length);
        whole = length;
        bytes = trimmed(bytes, &length);
        const int64_t other = length < whole ? trm_names_find(names, bytes, length) : -1;
        if (other >= 0 && pairs++ == 0) {
            name = i;
            twin = other;
        }
    }
    if (pairs > 1)
        snprintf(more, sizeof more, " (%" PRId64 " such pairs)", pairs);
    if (pairs > 0)
        trm_warn(&job->voice, "labels %s and %s differ by blanks alone%s: is that one class?",
                 trm_labels_text(&job->labels, twin, twin_text), trm_labels_text(&job->labels, name, text),
                 more);
}

void trm_job_check_classes(trm_job *job)
{
    char text[TRM_LABEL_TEXT];
    const trm_rows *rows = job->base.rows;
    if (rows->by_id)
        return;
    if (job->rank == 0 && job->labels.kind == TRM_LABELS_NAMED)
        warn_of_blanks(job);
    int64_t size = 0, most = 0, label = 0;
    for (int64_t i = 0; i < rows->count; i++)
        if (rows->class_size[i] > size) {
            size = rows->class_size[i];
            label = rows->label[i];
        }
    MPI_Allreduce(&size, &most, 1, MPI_INT64_T, MPI_MAX, job->comm);
    int holder = size == most ? job->rank : job->ranks;
    MPI_Allreduce(MPI_IN_PLACE, &holder, 1, MPI_INT, MPI_MIN, job->comm);
    MPI_Bcast(&label, 1, MPI_INT64_T, holder, job->comm);
    if (job->rank == 0)
        trm_warn_of_class(&job->voice, most, rows->total, trm_labels_text(&job->labels, label, text));
}

const trm_names *trm_job_names(const trm_job *job)
{
    return job->labels.kind == TRM_LABELS_NAMED ? &job->labels.names : NULL;
}
