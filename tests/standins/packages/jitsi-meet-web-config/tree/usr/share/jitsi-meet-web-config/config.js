/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Stand-in for the client's options of the real package; the maintainer script puts in the host name. */

// The web server fills in these two for tenants (https://host/tenant/room).
var subdir = '<!--# echo var="subdir" default="" -->';
var subdomain = '<!--# echo var="subdomain" default="" -->';

// Served without server-side includes, the markers are still there.
if (subdir.startsWith('<!--')) {
    subdir = '';
    subdomain = '';
}
if (subdomain) {
    subdomain = subdomain.slice(0, -1).split('.').join('_').toLowerCase() + '.';
}

var enableJaaS = false;

var config = {
    hosts: {
        domain: 'jitsi-meet.example.com',
        muc: 'conference.' + subdomain + 'jitsi-meet.example.com',
    },

    bosh: 'https://jitsi-meet.example.com/' + subdir + 'http-bind',
    websocket: 'wss://jitsi-meet.example.com/' + subdir + 'xmpp-websocket',
    // conferenceRequestUrl: 'https://jitsi-meet.example.com/' + subdir + 'conference-request/v1',

    channelLastN: -1,
    enableWelcomePage: true,

    p2p: {
        enabled: true,
        stunServers: [
            { urls: 'stun:meet-jit-si-turnrelay.jitsi.net:443' },
        ],
    },
};
