/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Stand-in: a service worker that does nothing, so that an old one is replaced. */
self.addEventListener('install', () => self.skipWaiting());
self.addEventListener('activate', event => event.waitUntil(self.clients.claim()));
