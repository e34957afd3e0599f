/*
** Queues: first in, first out. A link is embedded in the queued object and knows its queue, so that
** it can leave from the middle.
*/
#ifndef BMWI_QUEUE_H
#define BMWI_QUEUE_H

#include <stddef.h>

typedef struct bmwi_link {
  struct bmwi_link *previous, *next;
  struct bmwi_queue *queue; /* NULL: not queued */
} bmwi_link;

typedef struct bmwi_queue {
  bmwi_link *first, *last;
} bmwi_queue;

static inline void bmwi_queue_add(bmwi_queue *queue, bmwi_link *link) {
  *link = (bmwi_link){.previous = queue->last, .queue = queue};
  if (queue->last != NULL) queue->last->next = link;
  else queue->first = link;
  queue->last = link;
}

static inline void bmwi_queue_leave(bmwi_link *link) {
  bmwi_queue *queue = link->queue;
  if (queue == NULL) return;
  if (link->previous != NULL) link->previous->next = link->next;
  else queue->first = link->next;
  if (link->next != NULL) link->next->previous = link->previous;
  else queue->last = link->previous;
  link->queue = NULL;
}

/* Removes and returns the first one, or NULL. */
static inline bmwi_link *bmwi_queue_take(bmwi_queue *queue) {
  bmwi_link *link = queue->first;
  if (link != NULL) bmwi_queue_leave(link);
  return link;
}

#endif
